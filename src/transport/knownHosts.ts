import { createHash, createHmac, randomBytes } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** What the known_hosts files say of a key. `known` carries the fingerprints of the host's other keys of that type. */
export type HostKeyVerdict =
  | { readonly verdict: 'trusted' | 'unknown' | 'revoked' }
  | {
      readonly verdict: 'changed';
      readonly known: readonly { fingerprint: string; file: string; line: number }[];
    };

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
    private readonly name: string,
    private readonly writeTo: string | undefined,
  ) {}

  /** Reads the files that exist. `port` other than 22 makes the name `[host]:port`. */
  static async load(files: readonly string[], host: string, port: number): Promise<KnownHosts> {
    const entries: Entry[] = [];
    for (const file of files) {
      const text = await readFile(file, 'utf8').catch(() => '');
      text.split('\n').forEach((line, index) => {
        const entry = parseLine(line, file, index + 1);
        if (entry) entries.push(entry);
      });
    }
    const lower = host.toLowerCase();
    return new KnownHosts(entries, port === 22 ? lower : `[${lower}]:${port}`, files[0]);
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

  check(key: Buffer): HostKeyVerdict {
    const mine = this.mine();
    const same = mine.filter((entry) => entry.key.equals(key));
    if (same.some((entry) => entry.marker === '@revoked')) return { verdict: 'revoked' };
    if (same.some((entry) => entry.marker === undefined)) return { verdict: 'trusted' };
    const others = mine.filter((entry) => entry.marker === undefined && entry.type === keyType(key));
    if (others.length === 0) return { verdict: 'unknown' };
    return {
      verdict: 'changed',
      known: others.map((entry) => ({
        fingerprint: fingerprint(entry.key),
        file: entry.file,
        line: entry.line,
      })),
    };
  }

  /** Remembers a key the user trusts, in the first file; `hashed` as HashKnownHosts does. */
  async remember(key: Buffer, form: 'plain' | 'hashed' = 'plain'): Promise<void> {
    if (this.writeTo === undefined) return;
    await mkdir(path.dirname(this.writeTo), { recursive: true, mode: 0o700 });
    const before = await readFile(this.writeTo, 'utf8').catch(() => '');
    const newline = before === '' || before.endsWith('\n') ? '' : '\n';
    await appendFile(
      this.writeTo,
      `${newline}${form === 'hashed' ? hashedName(this.name) : this.name} ${keyType(key)} ${key.toString('base64')}\n`,
      {
        mode: 0o600,
      },
    );
  }

  private mine(): Entry[] {
    return this.entries
      .filter((entry) => matches(entry.patterns, this.name))
      .filter((entry) => entry.marker !== '@cert-authority');
  }
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
