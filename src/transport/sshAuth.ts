import { readFile } from 'node:fs/promises';
import { utils, type AnyAuthMethod, type AuthenticationType, type ParsedKey } from 'ssh2';
import type { SshOptions } from './sshOptions';
import type { Prompter } from './transport';

/**
 * The order in which we try to prove who we are, as OpenSSH does: agent, identity files, keyboard-interactive,
 * password. Questions go to the prompter; `tried` collects what was offered, for the error message.
 */
export class Authentication {
  readonly tried: string[] = [];
  private methods: AsyncGenerator<AnyAuthMethod> | undefined;

  constructor(
    private readonly options: SshOptions,
    private readonly node: string,
    private readonly prompter: Prompter | undefined,
    /** Told while a person is being asked, so that no clock runs against them. */
    private readonly asking: (active: boolean) => void,
  ) {}

  /** ssh2's `authHandler`. */
  readonly handler = (
    methodsLeft: AuthenticationType[] | null,
    _partial: boolean | null,
    next: (method: AnyAuthMethod | false) => void,
  ): void => {
    this.methods ??= this.all();
    void this.following(methodsLeft).then(next, () => next(false));
  };

  private async following(left: AuthenticationType[] | null): Promise<AnyAuthMethod | false> {
    for (;;) {
      const step = await this.methods?.next();
      if (!step || step.done) return false;
      const method = step.value;
      const type = method.type === 'agent' ? 'publickey' : method.type;
      if (left === null || type === 'none' || left.includes(type)) {
        if (type !== 'none') this.tried.push(method.type);
        return method;
      }
    }
  }

  private async *all(): AsyncGenerator<AnyAuthMethod> {
    const username = this.options.user;
    yield { type: 'none', username };
    if (this.options.identityAgent !== undefined && !this.options.identitiesOnly) {
      yield { type: 'agent', username, agent: this.options.identityAgent };
    }
    for (const file of this.options.identityFiles) {
      const key = await this.key(file);
      if (key) yield { type: 'publickey', username, key };
    }
    const prompter = this.prompter;
    if (!prompter) return;
    yield {
      type: 'keyboard-interactive',
      username,
      prompt: (_name, instructions, _language, prompts, finish) => {
        void this.ask(async () => {
          const answers: string[] = [];
          for (const { prompt, echo } of prompts) {
            const question = [instructions, prompt].filter((part) => part !== '').join('\n');
            answers.push((await prompter.answer(this.node, question, echo ?? false)) ?? '');
          }
          return answers;
        }).then(finish, () => finish([]));
      },
    };
    const password = await this.ask(() => prompter.password(username, this.node));
    if (password !== undefined) yield { type: 'password', username, password };
  }

  private async key(file: string): Promise<ParsedKey | undefined> {
    const data = await readFile(file).catch(() => undefined);
    if (!data) return undefined;
    const plain = firstKey(data);
    if (plain) return plain;
    const { prompter } = this;
    if (!prompter || !encrypted(data)) return undefined;
    for (let attempt = 0; attempt < 3; attempt++) {
      const passphrase = await this.ask(() => prompter.passphrase(file, this.node));
      if (passphrase === undefined) return undefined;
      const opened = firstKey(data, passphrase);
      if (opened) return opened;
    }
    return undefined;
  }

  private async ask<T>(question: () => Promise<T>): Promise<T> {
    this.asking(true);
    try {
      return await question();
    } finally {
      this.asking(false);
    }
  }
}

function firstKey(data: Buffer, passphrase?: string): ParsedKey | undefined {
  const parsed = utils.parseKey(data, passphrase);
  return parsed instanceof Error ? undefined : parsed;
}

function encrypted(data: Buffer): boolean {
  const parsed = utils.parseKey(data);
  return parsed instanceof Error && /passphrase|encrypted/i.test(parsed.message);
}
