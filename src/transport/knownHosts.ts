import { createHash, createHmac, randomBytes } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * Types of host keys that a server can be asked for. Keys of others say nothing of one that it offers.
 */
const HOST_KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const;

/** A key in a known_hosts file. */
export interface KnownKey {
  readonly fingerprint: string;
  readonly file: string;
  readonly line: number;
}

/**
 * What the known_hosts files say of a key; `known`: the host's other keys, or the line that revokes this one. Also a key of
 * another type is another key (hostfile.c: HOST_CHANGED), for servers are asked for the types that they are known by.
 */
export type HostKeyVerdict =
  | { readonly verdict: 'trusted' | 'unknown' }
  | { readonly verdict: 'changed' | 'revoked'; readonly known: readonly KnownKey[] };

interface Entry {
  readonly marker: string | undefined;
  readonly patterns: string;
  readonly type: string;
  readonly key: Buffer;
  readonly file: string;
  readonly line: number;
}

/** `SHA256:…` of a public key blob, as `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The algorithm name inside a public key blob (RFC 4253, 6.6: a string of 4-byte length). */
export function keyType(key: Buffer): string {
  return key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
}

/**
 * The known_hosts files of one host (format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): plain, wildcard, negated and hashed
 * names, `@revoked`. `@cert-authority` lines are passed over: ssh2 offers no host certificates.
 */
export class KnownHosts {
  private constructor(
    private readonly entries: readonly Entry[],
    /** As known_hosts files have it. */
    readonly name: string,
    private readonly bareName: string | undefined,
    private readonly writeTo: string | undefined,
  ) {}

  /** Reads the files that exist; `writeTo`: the one that is written to. `port` other than 22 makes the name `[host]:port`. */
  static async load(
    files: readonly string[],
    host: string,
    port: number,
    writeTo: string | undefined,
  ): Promise<KnownHosts> {
    const entries: Entry[] = [];
    for (const file of files) {
      const text = await readFile(file, 'utf8').catch(() => '');
      text.split('\n').forEach((line, index) => {
        const entry = parseLine(line, file, index + 1);
        if (entry) entries.push(entry);
      });
    }
    const lower = host.toLowerCase();
    return port === 22
      ? new KnownHosts(entries, lower, undefined, writeTo)
      : new KnownHosts(entries, `[${lower}]:${port}`, lower, writeTo);
  }

  /** Key types this host is known by, so that the server is asked for one of them. */
  knownTypes(): string[] {
    return [
      ...new Set(
        this.mine()
          .filter((entry) => entry.marker === undefined)
          .map((entry) => entry.type),
      ),
    ];
  }

  /** Whether an authority may vouch for this host by a certificate. */
  get hasAuthority(): boolean {
    return this.entries.some(
      (entry) => entry.marker === '@cert-authority' && matches(entry.patterns, this.name),
    );
  }

  /** Whether keys can be remembered. */
  get isWritable(): boolean {
    return this.writeTo !== undefined;
  }

  check(key: Buffer): HostKeyVerdict {
    const mine = this.mine();
    const same = mine.filter((entry) => entry.key.equals(key));
    const revoking = same.filter((entry) => entry.marker === '@revoked');
    if (revoking.length > 0) return { verdict: 'revoked', known: revoking.map(known) };
    if (same.some((entry) => entry.marker === undefined)) return { verdict: 'trusted' };
    const others = mine.filter(
      (entry) =>
        entry.marker === undefined &&
        HOST_KEY_TYPES.some((type) => type === entry.type) &&
        entry.key.length > 0,
    );
    if (others.length > 0) return { verdict: 'changed', known: others.map(known) };
    // One that is known without the port is trusted at any (sshconnect.c: "checking without port identifier").
    const { bareName } = this;
    const bare = bareName === undefined ? [] : this.mine(bareName).filter((entry) => entry.key.equals(key));
    return bare.some(({ marker }) => marker === undefined) &&
      !bare.some(({ marker }) => marker === '@revoked')
      ? { verdict: 'trusted' }
      : { verdict: 'unknown' };
  }

  /** Remembers a key the user trusts; `hashed` as HashKnownHosts does. A file that cannot be written is left, as ssh does. */
  async remember(key: Buffer, form: 'plain' | 'hashed' = 'plain'): Promise<void> {
    const { writeTo } = this;
    if (writeTo === undefined) return;
    const name = form === 'hashed' ? hashedName(this.name) : this.name;
    try {
      await mkdir(path.dirname(writeTo), { recursive: true, mode: 0o700 });
      const before = await readFile(writeTo, 'utf8').catch(() => '');
      const newline = before === '' || before.endsWith('\n') ? '' : '\n';
      await appendFile(writeTo, `${newline}${name} ${keyType(key)} ${key.toString('base64')}\n`, {
        mode: 0o600,
      });
    } catch {
      // The key is trusted all the same: the next connection asks again.
    }
  }

  private mine(name = this.name): Entry[] {
    return this.entries
      .filter((entry) => matches(entry.patterns, name))
      .filter((entry) => entry.marker !== '@cert-authority');
  }
}

function known({ key, file, line }: Entry): KnownKey {
  return { fingerprint: fingerprint(key), file, line };
}

function hashedName(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

function parseLine(line: string, file: string, number: number): Entry | undefined {
  const fields = line.trim().split(/\s+/);
  const [first = ''] = fields;
  if (first === '' || first.startsWith('#')) return undefined;
  const marker = first.startsWith('@') ? fields.shift() : undefined;
  const [patterns, type, key] = fields;
  if (patterns === undefined || type === undefined || key === undefined) return undefined;
  return { marker, patterns, type, key: Buffer.from(key, 'base64'), file, line: number };
}

function matches(patterns: string, name: string): boolean {
  if (patterns.startsWith('|1|')) {
    const [, , salt = '', hash = ''] = patterns.split('|');
    const made = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64');
    return made === hash;
  }
  let matched = false;
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!wildcard(negated ? pattern.slice(1) : pattern).test(name)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, (special) =>
    special === '*' ? '.*' : special === '?' ? '.' : `\\${special}`,
  );
  return new RegExp(`^${source}$`);
}
