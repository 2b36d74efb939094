import { readFile } from 'node:fs/promises';
import { algorithmsFor, type HostKeyAlgorithm } from './hostKeyAlgorithms';
import type { Keyring } from './keyring';
import { fingerprint, keyType, KnownHosts, type KnownKey } from './knownHosts';
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
    options.ownKnownHostsFile,
  );
}

/**
 * The host keys that a server is asked for.
 * @throws NeedsOpenSsh when the config wants only such as ssh2 has not
 */
export function serverHostKeys(node: string, known: KnownHosts, options: SshOptions): HostKeyAlgorithm[] {
  const names = algorithmsFor(known.knownTypes(), options.hostKeyAlgorithms);
  if (names.length > 0) return names;
  throw new NeedsOpenSsh(
    'config',
    node,
    `HostKeyAlgorithms of the ssh config for ${node} has no algorithm that is known here (${options.hostKeyAlgorithms?.join(', ') || 'none'}); add ssh-ed25519 or another plain one`,
    false,
  );
}

/**
 * Undefined when the key is good; otherwise the refusal: `NeedsOpenSsh` where the system's ssh, when there is one, can judge it
 * by more.
 */
export async function judgeHostKey(
  node: string,
  key: Buffer,
  known: KnownHosts,
  options: SshOptions,
  keyring: Keyring | undefined,
  openSsh?: 'absent',
): Promise<ConnectError | undefined> {
  const verdict = known.check(key);
  const print = fingerprint(key);
  const where = options.ownKnownHostsFile ?? (options.knownHostsFiles[0] || 'any known_hosts file');
  // ssh2 offers no host certificates: the authority may well vouch for this host.
  const others = known.hasAuthority || options.knownHostsCommand;
  const unsure = openSsh !== 'absent' && others ? NeedsOpenSsh : ConnectError;
  const revoked = await revokedBy(key, options.revokedHostKeys);
  if (revoked === 'unclear')
    return new NeedsOpenSsh(
      'revoked-host-key',
      node,
      `whether the host key of ${node} (${print}) is revoked is not known: ${options.revokedHostKeys} (RevokedHostKeys) cannot be read here`,
      false,
    );
  if (revoked === 'yes')
    return new ConnectError(
      'revoked-host-key',
      node,
      `the host key of ${node} (${print}) is in ${options.revokedHostKeys} (RevokedHostKeys); refused`,
      false,
    );
  switch (verdict.verdict) {
    case 'trusted':
      return undefined;
    case 'revoked':
      return new ConnectError(
        'revoked-host-key',
        node,
        `the host key of ${node} (${print}) is marked @revoked in ${placesOf(verdict.known)}; refused`,
        false,
      );
    case 'changed': {
      const before = verdict.known
        .map((entry) => `${entry.fingerprint} (${entry.file}:${entry.line})`)
        .join(', ');
      return new unsure(
        'changed-host-key',
        node,
        `the host key of ${node} has changed: it was ${before}, now it offers ${print}. Refused: this is what a man in the middle looks like. If the machine was set up anew, remove what is known of it (ssh-keygen -R '${known.name}' -f ${verdict.known[0]?.file ?? ''}) and connect again`,
        false,
      );
    }
    case 'unknown': {
      const words = `the host key of ${node} (${keyType(key)} ${print}) is not in ${where}. Connect once with "ssh ${node}" in a terminal to check and accept it`;
      if (unsure === NeedsOpenSsh) return new NeedsOpenSsh('unknown-host-key', node, words, false);
      if (known.isWritable && (await trusted(node, key, options, keyring))) return undefined;
      const unasked = options.strictHostKeyChecking === 'ask' && keyring?.canAsk !== true;
      return new ConnectError('unknown-host-key', node, words, false, unasked);
    }
  }
}

function placesOf(known: readonly KnownKey[]): string {
  return known.map(({ file, line }) => `${file}:${line}`).join(', ');
}

/**
 * Whether a file of revoked keys, one a line (sshd_config(5), RevokedKeys), has this one; `unclear` for what only OpenSSH reads
 * (a KRL), and when it cannot be read: then ssh refuses every host.
 */
async function revokedBy(key: Buffer, file: string | undefined): Promise<'yes' | 'no' | 'unclear'> {
  if (file === undefined) return 'no';
  const text = await readFile(file, 'latin1').catch(() => undefined);
  if (text === undefined || text.startsWith('SSHKRL\n')) return 'unclear';
  const blob = key.toString('base64').replace(/=+$/, '');
  return text.split('\n').some((line) => !line.startsWith('#') && line.includes(blob)) ? 'yes' : 'no';
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
