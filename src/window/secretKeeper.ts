import type { Memento, SecretStorage } from 'vscode';
import type { Given } from '../transport';

/** Which secret is meant. */
export type SecretName =
  | { readonly kind: 'passphrase'; readonly file: string }
  | { readonly kind: 'password'; readonly user: string; readonly node: string };

/** What the person said to the offer to keep a secret; undefined: they did not answer. */
export type KeepAnswer = 'keep' | 'never' | 'no' | undefined;

/** How the person is asked. */
export interface KeeperQuestions {
  /** `refused`: the one that was kept has just turned out to be wrong. Undefined: they decline. */
  ask(name: SecretName, node: string, refused: boolean): Promise<string | undefined>;
  offer(name: SecretName): Promise<KeepAnswer>;
  /** It could not be kept, or not be forgotten. */
  failed(error: unknown): void;
}

// All in one entry: SecretStorage could not always list its keys, and a list beside it could differ.
const KEPT = 'logins';
const NEVER = 'neverKept';

/**
 * Passphrases and passwords that the person agreed to keep, in VS Code's SecretStorage and nowhere else. A kept one is
 * given without a question; one that turns out to be wrong is forgotten, and the next is asked for.
 */
export class SecretKeeper {
  private readonly refused = new Set<string>();
  /** Offered in this window: once is enough. */
  private readonly offered = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly secrets: Pick<SecretStorage, 'get' | 'store' | 'delete'>,
    private readonly memory: Pick<Memento, 'get' | 'update'>,
    private readonly questions: KeeperQuestions,
  ) {}

  /** The secret as it is kept, else as the person types it; undefined when they decline. */
  async give(name: SecretName, node: string): Promise<Given | undefined> {
    const key = keyOf(name);
    const kept = await this.inTurn(async () => (await this.read())[key]).catch(() => undefined);
    if (kept !== undefined) {
      const used = (worked: boolean): void => {
        if (!worked) this.refuse(key, kept);
      };
      return { text: kept, used };
    }
    const text = await this.questions.ask(name, node, this.refused.has(key));
    if (text === undefined) return undefined;
    const used = (worked: boolean): void => {
      if (worked) this.worked(name, key, text);
    };
    return { text, used };
  }

  /** Forgets all that is kept, and for what nothing was ever to be; returns how many secrets that were. */
  async forgetAll(): Promise<number> {
    this.offered.clear();
    return this.inTurn(async () => {
      const kept = Object.keys(await this.read()).length;
      await this.secrets.delete(KEPT);
      await this.memory.update(NEVER, undefined);
      return kept;
    });
  }

  private refuse(key: string, text: string): void {
    this.refused.add(key);
    this.change((kept) => {
      // Another connection may have brought the right one meanwhile.
      const { [key]: there, ...others } = kept;
      return there === text ? others : kept;
    }).catch((error: unknown) => this.questions.failed(error));
  }

  private worked(name: SecretName, key: string, text: string): void {
    this.refused.delete(key);
    if (this.offered.has(key) || this.never().includes(key)) return;
    this.offered.add(key);
    this.questions
      .offer(name)
      .then(async (answer) => {
        if (answer === 'keep') await this.change((kept) => ({ ...kept, [key]: text }));
        // Wanted again when what is kept has become wrong.
        if (answer === 'keep') this.offered.delete(key);
        if (answer === 'never') await this.memory.update(NEVER, [...this.never(), key]);
      })
      .catch((error: unknown) => this.questions.failed(error));
  }

  private never(): string[] {
    return this.memory.get<string[]>(NEVER, []);
  }

  private change(work: (kept: Record<string, string>) => Record<string, string>): Promise<void> {
    return this.inTurn(async () => {
      const before = await this.read();
      const after = work(before);
      if (after === before) return;
      if (Object.keys(after).length === 0) await this.secrets.delete(KEPT);
      else await this.secrets.store(KEPT, JSON.stringify(after));
    });
  }

  private async read(): Promise<Record<string, string>> {
    const text = await this.secrets.get(KEPT);
    try {
      return text === undefined ? {} : (JSON.parse(text) as Record<string, string>);
    } catch {
      // Nobody can say what it was: everything is asked for once.
      return {};
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work);
    this.last = turn.catch(() => undefined);
    return turn;
  }
}

function keyOf(name: SecretName): string {
  return name.kind === 'passphrase' ? `passphrase ${name.file}` : `password ${name.user}@${name.node}`;
}
