import { readFile } from 'node:fs/promises';
import type { AnyAuthMethod, AuthenticationType } from 'ssh2';
import type { Login } from './context';
import type { Unasked } from './explain';
import { Unanswered, Unopened, type Keyring } from './keyring';
import { LoginKeys } from './loginKeys';
import type { LoginMethod, SshOptions } from './sshOptions';
import type { Given, Prompter } from './transport';

/** OpenSSH's NumberOfPasswordPrompts. */
const ATTEMPTS = 3;
/** A server that wants one proof after another; more rounds than any real one has. */
const MOST_ROUNDS = 4;

/** A question of keyboard-interactive. */
interface Prompt {
  readonly prompt: string;
  readonly echo?: boolean;
}

/** What a login needs from the connection it is for. */
export interface LoginHost {
  /** Told while a person is being asked, so that no clock runs against them. */
  asking(active: boolean): void;
  /** A person declined: ends the attempt with these words. */
  giveUp(words: string): void;
  /** Why only the system's ssh can log in without a question; ends the attempt before a person is asked. */
  beforeQuestions(offered: readonly string[]): Promise<boolean>;
}

/**
 * The order in which we try to prove who we are, as OpenSSH does: keys of agent and files, keyboard-interactive,
 * password, or as the ssh config prefers; each only where the server takes it. `tried` collects what was offered, for the
 * error message.
 */
export class Authentication {
  readonly tried: string[] = [];
  private locked: readonly string[] = [];
  private wantsPerson = false;
  /** Set when the attempt is over: nobody is asked any more. */
  over = false;
  private left: readonly AuthenticationType[] | null = null;
  private methods: AsyncGenerator<AnyAuthMethod> | undefined;
  private rounds = 0;
  /** The person's password that the server is looking at. */
  private sent: Given | undefined;

  constructor(
    private readonly options: SshOptions,
    private readonly node: string,
    private readonly keyring: Keyring | undefined,
    private readonly password: Login['password'],
    private readonly host: LoginHost,
  ) {}

  /** What was wanted of a person when nobody was there. */
  get unasked(): Unasked {
    return { keys: this.locked, password: this.wantsPerson };
  }

  /** What the server said it takes; empty before it said so. */
  get offered(): readonly string[] {
    return this.left ?? [];
  }

  /** The server has said whether it takes the password that was sent last, if one was. */
  judged(good: boolean): void {
    const given = this.sent;
    this.sent = undefined;
    given?.used?.(good);
  }

  /** ssh2's `authHandler`. */
  readonly handler = (
    methodsLeft: AuthenticationType[] | null,
    partial: boolean | null,
    next: (method: AnyAuthMethod | false) => void,
  ): void => {
    // ssh2 repeats an old answer after a method that brought none: the same list is no news.
    const news = methodsLeft !== this.left;
    this.judged(partial === true);
    this.left = methodsLeft;
    // One proof was good and another is wanted (AuthenticationMethods): what stood before it in our order may be it.
    if (partial === true && news && this.rounds < MOST_ROUNDS) {
      this.rounds += 1;
      this.methods = undefined;
    }
    this.methods ??= this.all();
    this.methods.next().then(
      (step) => next(step.done === true ? false : step.value),
      (error: unknown) => this.host.giveUp(error instanceof Error ? error.message : String(error)),
    );
  };

  private takes(method: LoginMethod): boolean {
    const offered = this.left === null || this.left.some((name) => name === method);
    return !this.over && offered && this.options.loginMethods.includes(method);
  }

  private async *all(): AsyncGenerator<AnyAuthMethod> {
    const username = this.options.user;
    if (this.left === null) yield { type: 'none', username };
    let written = false;
    for (const method of this.options.loginMethods) {
      // `ssh` itself does this one, see `openSshReason`.
      if (method === 'gssapi-with-mic' || !this.takes(method)) continue;
      if (method === 'publickey') {
        yield* this.keys(username);
        continue;
      }
      if (!written) yield* this.written(username);
      written = true;
      yield* this.ofPerson(method, username);
    }
  }

  /** What only a person knows: their password, answers to questions. */
  private async *ofPerson(
    method: 'keyboard-interactive' | 'password',
    username: string,
  ): AsyncGenerator<AnyAuthMethod> {
    if (this.keyring?.canAsk !== true) {
      this.wantsPerson ||= this.takes(method);
      return;
    }
    if (this.over || !(await this.host.beforeQuestions(this.offered))) return;
    for (let attempt = 0; attempt < ATTEMPTS && this.takes(method); attempt += 1)
      yield method === 'password' ? await this.byPassword(username) : this.interactive(username);
  }

  private async byPassword(username: string): Promise<AnyAuthMethod> {
    const password = await this.askPassword();
    this.tried.push('password');
    return { type: 'password', username, password };
  }

  private interactive(username: string): AnyAuthMethod {
    this.tried.push('keyboard-interactive');
    return {
      type: 'keyboard-interactive',
      username,
      prompt: (_name, instructions, _language, prompts, finish) => {
        if (prompts.length === 0) {
          finish([]);
          return;
        }
        void this.answers(instructions, prompts).then(finish, (error: unknown) =>
          this.host.giveUp(error instanceof Error ? error.message : String(error)),
        );
      },
    };
  }

  /** The password that a file has for this host: once, also where the server asks for it interactively. */
  private async *written(username: string): AsyncGenerator<AnyAuthMethod> {
    const asks = this.takes('keyboard-interactive');
    if (!this.takes('password') && !asks) return;
    const password = await this.password?.();
    if (password === undefined) return;
    this.tried.push('the password of the node pools file');
    if (this.takes('password')) {
      yield { type: 'password', username, password };
      return;
    }
    yield {
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => {
        // Any other question (a one-time code) is for a person, in the next round.
        finish(wantsPassword(prompts) ? [password] : prompts.map(() => ''));
      },
    };
  }

  private async *keys(username: string): AsyncGenerator<AnyAuthMethod> {
    const keyring = this.keyring;
    const keys = new LoginKeys(
      this.options,
      keyring && {
        opens: (file, data) => keyring.opens(file, data),
        open: (file, data) => this.paused(() => keyring.open(file, data, this.node)),
        giveUp: (words) => this.host.giveUp(words),
        passOver: (words) => this.tried.push(words),
      },
    );
    const gathered = await keys.gather();
    this.locked = keys.locked;
    for (const key of gathered) {
      if (!this.takes('publickey')) return;
      this.tried.push(key.source);
      yield { type: 'agent', username, agent: key };
      // After an agent's key ssh2 forgets what the server said it takes next (AuthenticationMethods): ask again.
      if (key.signed) yield { type: 'none', username };
    }
    if (!keyring) return;
    // PEM hides the public half as well: it cannot be offered before it is opened.
    for (const file of keys.sealed) {
      if (!this.takes('publickey')) return;
      const data = await readFile(file).catch(() => undefined);
      if (!data) continue;
      const key = await this.paused(() => keyring.open(file, data, this.node)).catch((error: unknown) => {
        if (!(error instanceof Unopened)) throw error;
        this.tried.push(error.message);
      });
      if (!key) continue;
      this.tried.push('publickey');
      yield { type: 'publickey', username, key };
    }
  }

  private async answers(instructions: string, prompts: readonly Prompt[]): Promise<string[]> {
    if (instructions.trim() === '' && wantsPassword(prompts)) return [await this.askPassword()];
    return this.ask(async (prompter) => {
      const answers: string[] = [];
      for (const { prompt, echo } of prompts) {
        const question = [instructions, prompt].filter((part) => part !== '').join('\n');
        const answer = await prompter.answer(this.node, question, echo ?? false);
        if (answer === undefined) throw new Unanswered(`"${prompt.trim()}" was not answered`);
        answers.push(answer);
      }
      return answers;
    });
  }

  private async askPassword(): Promise<string> {
    const { user } = this.options;
    const given = await this.ask((prompter) => prompter.password(user, this.node));
    if (given === undefined) throw new Unanswered(`no password was given for ${user}`);
    this.sent = given;
    return given.text;
  }

  private async ask<T>(question: (prompter: Prompter) => Promise<T>): Promise<T> {
    const { keyring } = this;
    if (!keyring) throw new Unanswered('nobody can be asked');
    return this.paused(() =>
      keyring.inTurn((prompter) => {
        // The line may have been long, and the server's patience short.
        if (this.over) throw new Unanswered('the connection was given up before the question was put');
        return question(prompter);
      }),
    );
  }

  private async paused<T>(work: () => Promise<T>): Promise<T> {
    this.host.asking(true);
    try {
      return await work();
    } finally {
      this.host.asking(false);
    }
  }
}

/** PAM asks for the account's password as it asks for anything; what changes with every login is none. */
function wantsPassword(prompts: readonly Prompt[]): boolean {
  const [first] = prompts;
  if (!first || prompts.length > 1 || first.echo === true) return false;
  return (
    /password/i.test(first.prompt) &&
    !/one.?time|\botp\b|code|token|\bpin\b|\bnew\b|again|retype/i.test(first.prompt)
  );
}
