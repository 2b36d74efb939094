import { globOf } from './tokens';

/** What ssh2 has for keys of hosts, in OpenSSH's order (since 8.5). */
const ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
] as const;
/** As `ssh -G` tells it: certificates first, and SHA-1 only where the config asks for it (since OpenSSH 8.8). */
const DEFAULT: readonly string[] = ['-cert-v01@openssh.com', ''].flatMap((end) =>
  ALGORITHMS.filter((name) => name !== 'ssh-rsa').map((name) => `${name}${end}`),
);

export type HostKeyAlgorithm = (typeof ALGORITHMS)[number];

/** HostKeyAlgorithms as a config file has it, with `+`, `-`, `^` and wildcards, as the list that it stands for (`ssh -G` tells that). */
export function assembled(option: string): string[] {
  const [, sign = '', list = ''] = /^([-+^]?)(.*)$/.exec(option) ?? [];
  const all = [...DEFAULT, 'ssh-rsa'];
  const named = list.split(',').flatMap((word) => all.filter((name) => globOf(word.trim()).test(name)));
  const lists: Readonly<Record<string, string[]>> = {
    '': named,
    '+': [...DEFAULT, ...named],
    '-': DEFAULT.filter((name) => !named.includes(name)),
    '^': [...named, ...DEFAULT],
  };
  return [...new Set(lists[sign])];
}

/**
 * What a server is asked for, given HostKeyAlgorithms: in this order, without those that ssh2 has not. By default those of keys
 * that are known come first, as with OpenSSH: a second key of the host would look like an attack.
 */
export function algorithmsFor(
  known: readonly string[],
  listed: readonly string[] = DEFAULT,
): HostKeyAlgorithm[] {
  const all = listed.flatMap((word) => ALGORITHMS.filter((name) => name === word));
  const first = isDefault(listed, all) ? all.filter((name) => known.includes(typeOf(name))) : [];
  return [...new Set([...first, ...all])];
}

/**
 * Whether this is the default, or what `+` and `-` make of it; ssh goes by the known keys then too. `ssh -G` tells these as it
 * tells a list of the user's, but they have certificates and keep OpenSSH's order.
 */
function isDefault(listed: readonly string[], plain: readonly HostKeyAlgorithm[]): boolean {
  const rank = (name: HostKeyAlgorithm): number => ALGORITHMS.indexOf(name);
  // Before 8.5 Ed25519 stood between ECDSA and RSA.
  const before = (name: HostKeyAlgorithm): number => (name === 'ssh-ed25519' ? 3.5 : rank(name));
  const rises = (of: typeof rank): boolean =>
    plain.every((name, index) => index === 0 || of(plain[index - 1] ?? name) < of(name));
  return listed.some((name) => name.includes('-cert-')) && (rises(rank) || rises(before));
}

/** The type of the key that an algorithm signs with (RFC 8332). */
function typeOf(name: HostKeyAlgorithm): string {
  return name.startsWith('rsa-') ? 'ssh-rsa' : name;
}
