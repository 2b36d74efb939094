import type { Algorithms } from 'ssh2';
import type { Keyring } from './keyring';
import { fingerprint, keyType, KnownHosts } from './knownHosts';
import { NeedsOpenSsh } from './explain';
import type { SshOptions } from './sshOptions';
import { ConnectError } from './transport';

/** What the known_hosts files of these options say of their host. */
export function knownHostsOf(options: SshOptions): Promise<KnownHosts> {
  return KnownHosts.load(
    options.knownHostsFiles,
    options.hostKeyAlias ?? options.host,
    // An alias stands for the machine, whatever its port (sshconnect.c: get_hostfile_hostname_ipaddr).
    options.hostKeyAlias === undefined ? options.port : 22,
  );
}

/** Asks the server for a key of a type we know it by, as OpenSSH does; otherwise a second key type looks like an attack. */
export function serverHostKeys(known: readonly string[]): Pick<Algorithms, 'serverHostKey'> {
  const names = known.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
  const supported = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ] as const;
  const first = supported.filter((name) => names.includes(name));
  if (first.length === 0) return {};
  return { serverHostKey: [...first, ...supported.filter((name) => !names.includes(name))] };
}

/** Undefined when the key is good; otherwise the refusal. */
export async function judgeHostKey(
  node: string,
  key: Buffer,
  known: KnownHosts,
  options: SshOptions,
  keyring: Keyring | undefined,
): Promise<ConnectError | undefined> {
  const verdict = known.check(key);
  const print = fingerprint(key);
  const file = options.knownHostsFiles[0] ?? '~/.ssh/known_hosts';
  switch (verdict.verdict) {
    case 'trusted':
      return undefined;
    case 'revoked':
      return new ConnectError(
        'revoked-host-key',
        node,
        `the host key of ${node} (${print}) is marked @revoked in ${file}; refused`,
        false,
      );
    case 'changed': {
      const before = verdict.known
        .map((entry) => `${entry.fingerprint} (${entry.file}:${entry.line})`)
        .join(', ');
      return new ConnectError(
        'changed-host-key',
        node,
        `the host key of ${node} has changed: it was ${before}, now it offers ${print}. Refused: this is what a man in the middle looks like. If the machine was set up anew, remove that line and connect again`,
        false,
      );
    }
    case 'unknown': {
      const words = `the host key of ${node} (${keyType(key)} ${print}) is not in ${file}. Connect once with "ssh ${node}" in a terminal to check and accept it`;
      // ssh2 offers no host certificates: the authority may well vouch for this host.
      if (known.hasAuthority) return new NeedsOpenSsh('unknown-host-key', node, words, false);
      if (await trusted(node, key, options, keyring)) return undefined;
      const unasked = options.strictHostKeyChecking === 'ask' && keyring?.canAsk !== true;
      return new ConnectError('unknown-host-key', node, words, false, unasked);
    }
  }
}

async function trusted(
  node: string,
  key: Buffer,
  options: SshOptions,
  keyring: Keyring | undefined,
): Promise<boolean> {
  const { strictHostKeyChecking: strict, hashKnownHosts } = options;
  if (strict === 'yes') return false;
  const remember = async (): Promise<true> => {
    const now = await knownHostsOf(options);
    // At every rekeying the question comes again.
    if (now.check(key).verdict !== 'trusted') await now.remember(key, hashKnownHosts ? 'hashed' : 'plain');
    return true;
  };
  if (strict !== 'ask') return remember();
  if (!keyring) return false;
  return keyring.inTurn(async (prompter) => {
    // Ten nodes behind one new jump host are one question: another's answer may be in the file by now.
    if ((await knownHostsOf(options)).check(key).verdict === 'trusted') return true;
    return (await prompter.trustHost(node, keyType(key), fingerprint(key))) && remember();
  });
}
