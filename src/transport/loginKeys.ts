import { readFile } from 'node:fs/promises';
import type { IdentityCallback, ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';
import { firstKey, isEncrypted, publicHalf, Unopened } from './keyring';
import { BaseAgent, createAgent } from './ssh2Library';
import type { SshOptions } from './sshOptions';

/** How an encrypted key is opened, and what happens when its owner declines. */
export interface KeyOpener {
  /** False when its passphrase is not known and nobody can be asked for it. */
  opens(file: string, data: Buffer): boolean;
  /** @throws Unanswered, Unopened */
  open(file: string, data: Buffer): Promise<ParsedKey>;
  giveUp(words: string): void;
  /** A key stays closed, and the next is tried. */
  passOver(words: string): void;
}

type Signer = (data: Buffer, options: SigningRequestOptions, done: SignCallback) => void;

/**
 * One key, as an agent of its own: ssh2 offers an agent's public half first, so that a passphrase is asked only for a
 * key that the server would take, as OpenSSH does.
 */
export class LoginKey extends BaseAgent<ParsedKey> {
  /** The server took the key; that it then wants more is not the key's failure. */
  signed = false;

  constructor(
    readonly source: 'agent' | 'publickey',
    private readonly key: ParsedKey,
    private readonly signer: Signer,
  ) {
    super();
  }

  getIdentities(callback: IdentityCallback<ParsedKey>): void {
    callback(null, [this.key]);
  }

  sign(
    _key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const done = typeof options === 'function' ? options : callback;
    if (!done) return;
    this.signed = true;
    this.signer(data, typeof options === 'function' ? {} : options, done);
  }
}

/** All keys of a login: those of the user's agent and those of the identity files. */
export class LoginKeys {
  /** Encrypted files whose public half nobody knows. */
  readonly sealed: string[] = [];
  /** Encrypted files that nobody is there to open. */
  readonly locked: string[] = [];

  constructor(
    private readonly options: SshOptions,
    private readonly opener: KeyOpener | undefined,
  ) {}

  /** Keys of the agent that an identity file names come first, then the agent's others, then files. */
  async gather(): Promise<LoginKey[]> {
    const files = new Map<
      string,
      { readonly file: string; readonly key: ParsedKey; readonly signer: Signer | undefined }
    >();
    for (const file of this.options.identityFiles) {
      const found = await this.fromFile(file);
      if (found) files.set(nameOf(found.key), { ...found, file });
    }
    const ofAgent = await this.fromAgent();
    // What the agent has needs no passphrase.
    for (const [name, { file }] of files)
      if (ofAgent.has(name) && this.locked.includes(file)) this.locked.splice(this.locked.indexOf(file), 1);
    const named = [...ofAgent].filter(([name]) => files.has(name));
    const others = this.options.identitiesOnly ? [] : [...ofAgent].filter(([name]) => !files.has(name));
    const own = [...files].flatMap(([name, { key, signer }]) =>
      signer && !ofAgent.has(name) ? [new LoginKey('publickey', key, signer)] : [],
    );
    return [...named.map(([, key]) => key), ...others.map(([, key]) => key), ...own];
  }

  private async fromAgent(): Promise<Map<string, LoginKey>> {
    const { identityAgent } = this.options;
    if (identityAgent === undefined) return new Map();
    const agent = createAgent(identityAgent);
    const listed = await new Promise<readonly unknown[]>((resolve) => {
      // An agent that is gone (a stale SSH_AUTH_SOCK) is as good as none.
      agent.getIdentities((error, keys) => resolve(error ? [] : (keys ?? [])));
    });
    return new Map(
      listed.flatMap((item) => {
        const key = firstKey(item as Buffer);
        const signer: Signer | undefined =
          key &&
          ((data, options, done) => {
            agent.sign(key, data, options, done);
          });
        return key && signer ? [[nameOf(key), new LoginKey('agent', key, signer)] as const] : [];
      }),
    );
  }

  private async fromFile(
    file: string,
  ): Promise<{ readonly key: ParsedKey; readonly signer: Signer | undefined } | undefined> {
    const data = await readFile(file).catch(() => undefined);
    const beside = async (): Promise<ParsedKey | undefined> =>
      firstKey(await readFile(`${file}.pub`).catch(() => ''));
    const plain = data && firstKey(data);
    if (plain?.isPrivateKey() === true)
      return { key: plain, signer: (content, options, done) => signWith(plain, content, options, done) };
    if (plain) return { key: plain, signer: undefined };
    if (!data || !isEncrypted(data)) {
      const key = await beside();
      return key && { key, signer: undefined };
    }
    const key = publicHalf(data) ?? (await beside());
    const opener = this.opener?.opens(file, data) === true ? this.opener : undefined;
    if (!key) {
      (opener ? this.sealed : this.locked).push(file);
      return undefined;
    }
    if (!opener) this.locked.push(file);
    return {
      key,
      signer:
        opener &&
        ((content, options, done) => {
          opener.open(file, data).then(
            (opened) => signWith(opened, content, options, done),
            (error: unknown) => {
              const words = error instanceof Error ? error : new Error(String(error));
              if (words instanceof Unopened) {
                opener.passOver(words.message);
                done(words);
              } else opener.giveUp(words.message);
            },
          );
        }),
    };
  }
}

function nameOf(key: ParsedKey): string {
  return key.getPublicSSH().toString('base64');
}

function signWith(key: ParsedKey, data: Buffer, options: SigningRequestOptions, done: SignCallback): void {
  const signature: unknown = key.sign(data, options.hash);
  if (Buffer.isBuffer(signature)) done(null, signature);
  else done(signature instanceof Error ? signature : new Error('the key cannot sign'));
}
