import { readFile } from 'node:fs/promises';
import {
  BaseAgent,
  createAgent,
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import { firstKey, isEncrypted, publicHalf } from './keyring';
import type { SshOptions } from './sshOptions';

/** How an encrypted key is opened, and what happens when its owner declines. */
export interface KeyOpener {
  /** @throws Unanswered */
  open(file: string, data: Buffer): Promise<ParsedKey>;
  giveUp(words: string): void;
}

type Signer = (data: Buffer, options: SigningRequestOptions, done: SignCallback) => void;

/**
 * All keys of a login, as one agent: those of the user's agent and those of the identity files. Being an agent it
 * offers public halves first, so that a passphrase is asked only for a key that the server would take, as OpenSSH does.
 */
export class LoginKeys extends BaseAgent<ParsedKey> {
  /** Encrypted files whose public half nobody knows. */
  readonly sealed: string[] = [];
  private readonly signers = new Map<string, Signer>();

  constructor(
    private readonly options: SshOptions,
    private readonly opener: KeyOpener | undefined,
    private readonly tried: string[],
  ) {
    super();
  }

  getIdentities(callback: IdentityCallback<ParsedKey>): void {
    this.gather().then(
      (keys) => callback(null, keys),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
    );
  }

  sign(
    key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const done = typeof options === 'function' ? options : callback;
    if (!done) return;
    const signer = this.signers.get(nameOf(key));
    if (signer) signer(data, typeof options === 'function' ? {} : options, done);
    else done(new Error('the key is gone'));
  }

  /** Keys of the agent that an identity file names come first, then the agent's others, then files. */
  private async gather(): Promise<ParsedKey[]> {
    const files = new Map<string, { readonly key: ParsedKey; readonly signer: Signer | undefined }>();
    for (const file of this.options.identityFiles) {
      const found = await this.fromFile(file);
      if (found) files.set(nameOf(found.key), found);
    }
    const ofAgent = await this.fromAgent();
    const named = ofAgent.filter((key) => files.has(nameOf(key)));
    const others = this.options.identitiesOnly ? [] : ofAgent.filter((key) => !files.has(nameOf(key)));
    const agentKeys = [...named, ...others];
    const own: ParsedKey[] = [];
    for (const [name, { key, signer }] of files) {
      if (!signer || this.signers.has(name)) continue;
      this.signers.set(name, signer);
      own.push(key);
    }
    if (agentKeys.length > 0) this.tried.push('agent');
    if (own.length > 0) this.tried.push('publickey');
    return [...agentKeys, ...own];
  }

  private async fromAgent(): Promise<ParsedKey[]> {
    const { identityAgent } = this.options;
    if (identityAgent === undefined) return [];
    const agent = createAgent(identityAgent);
    const listed = await new Promise<readonly unknown[]>((resolve) => {
      // An agent that is gone (a stale SSH_AUTH_SOCK) is as good as none.
      agent.getIdentities((error, keys) => resolve(error ? [] : (keys ?? [])));
    });
    const keys = listed.flatMap((item) => {
      const key = firstKey(item as Buffer);
      return key ? [key] : [];
    });
    for (const key of keys) {
      this.signers.set(nameOf(key), (data, options, done) => {
        agent.sign(key, data, options, done);
      });
    }
    return keys;
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
    if (!key) {
      this.sealed.push(file);
      return undefined;
    }
    const opener = this.opener;
    return {
      key,
      signer:
        opener &&
        ((content, options, done) => {
          opener.open(file, data).then(
            (opened) => signWith(opened, content, options, done),
            (error: unknown) => opener.giveUp(error instanceof Error ? error.message : String(error)),
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
