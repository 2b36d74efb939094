import type { ParsedKey } from 'ssh2';
import { utils } from './ssh2Library';
import type { Prompter } from './transport';

/** OpenSSH's NumberOfPasswordPrompts. */
const ATTEMPTS = 3;

/** Why a question brought no answer: the attempt is over. The message is for the user. */
export class Unanswered extends Error {}

/** A key that stays closed, because its passphrase was wrong or passed over: the next one may do. The message is for the user. */
export class Unopened extends Error {}

/**
 * The private keys that one person opened, for the life of their process, and the one line in which questions to them
 * wait: fifty hosts that want the same passphrase at once, or a reconnect, ask once.
 */
export class Keyring {
  private readonly opened = new Map<string, { readonly data: Buffer; readonly key: ParsedKey }>();
  private readonly opening = new Map<string, Promise<ParsedKey>>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly prompter: Prompter) {}

  /** Whether somebody can be asked just now. */
  get canAsk(): boolean {
    return this.prompter.isThere?.() ?? true;
  }

  /** Whether a key can be opened: it was before, or somebody can be asked for its passphrase. */
  opens(file: string, data: Buffer): boolean {
    return this.canAsk || this.opened.get(file)?.data.equals(data) === true;
  }

  /** Puts a question once all earlier ones are answered. */
  inTurn<T>(question: (prompter: Prompter) => Promise<T>): Promise<T> {
    const turn = this.last.then(() => question(this.prompter));
    this.last = turn.catch(() => undefined);
    return turn;
  }

  /**
   * The private key in an encrypted file, by its passphrase.
   * @throws Unanswered when the person declines; Unopened when they are wrong three times, or give none, as to ssh
   */
  open(file: string, data: Buffer, node: string): Promise<ParsedKey> {
    const known = this.opened.get(file);
    if (known?.data.equals(data) === true) return Promise.resolve(known.key);
    const running = this.opening.get(file);
    if (running) return running;
    const opening = this.inTurn((prompter) => this.askPassphrase(prompter, file, data, node)).finally(() =>
      this.opening.delete(file),
    );
    this.opening.set(file, opening);
    return opening;
  }

  private async askPassphrase(
    prompter: Prompter,
    file: string,
    data: Buffer,
    node: string,
  ): Promise<ParsedKey> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const given = await prompter.passphrase(file, node);
      if (given === undefined) throw new Unanswered(`no passphrase was given for ${file}`);
      if (given.text === '') throw new Unopened(`no passphrase was given for ${file}`);
      const key = firstKey(data, given.text);
      given.used?.(key !== undefined);
      if (key) {
        this.opened.set(file, { data, key });
        return key;
      }
    }
    throw new Unopened(`the passphrase of ${file} was wrong ${ATTEMPTS} times`);
  }
}

// Connections are made one by one; what they share of a person hangs on that person's prompter and goes with it.
const keyrings = new WeakMap<Prompter, Keyring>();

/** The keyring of the person behind a prompter. */
export function keyringOf(prompter: Prompter): Keyring {
  const keyring = keyrings.get(prompter) ?? new Keyring(prompter);
  keyrings.set(prompter, keyring);
  return keyring;
}

/** The first key in a file, private or public; undefined when it cannot be read without or with this passphrase. */
export function firstKey(data: Buffer | string, passphrase?: string): ParsedKey | undefined {
  const parsed: unknown = utils.parseKey(data, passphrase);
  const key: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return key instanceof Error ? undefined : (key as ParsedKey);
}

/** Whether a private key needs a passphrase. */
export function isEncrypted(data: Buffer): boolean {
  const parsed = utils.parseKey(data);
  return parsed instanceof Error && /passphrase|encrypted/i.test(parsed.message);
}

const MAGIC = 'openssh-key-v1\0';

/** The public half, which OpenSSH's format leaves in the clear (PROTOCOL.key); undefined for other formats. */
export function publicHalf(data: Buffer): ParsedKey | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/.exec(data.toString('latin1'))?.[1];
  if (body === undefined) return undefined;
  const raw = Buffer.from(body, 'base64');
  if (raw.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  try {
    let at = MAGIC.length;
    const field = (): Buffer => {
      const start = at + 4;
      at = start + raw.readUInt32BE(at);
      return raw.subarray(start, at);
    };
    // Cipher, key derivation, its options; then the number of keys, which is always one.
    field();
    field();
    field();
    at += 4;
    const blob = field();
    const type = blob.toString('latin1', 4, 4 + blob.readUInt32BE(0));
    return firstKey(`${type} ${blob.toString('base64')}`);
  } catch {
    return undefined;
  }
}
