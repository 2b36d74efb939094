import { existsSync } from 'node:fs';
import type { SshOptions } from './sshOptions';
import { ConnectError } from './transport';

/** ssh2 cannot make this connection, OpenSSH perhaps can: it has hardware keys, certificates and GSSAPI. */
export class NeedsOpenSsh extends ConnectError {}

/** An error of a socket or of ssh2 while connecting, in words. */
export function explain(
  error: Error & { code?: string | number; level?: string },
  node: string,
  options: SshOptions,
  tried: readonly string[],
): ConnectError {
  const address = `${options.host}:${options.port}`;
  const unreachable = (message: string): ConnectError => new ConnectError('unreachable', node, message, true);
  if (error instanceof ConnectError) return error;
  if (error.level === 'client-authentication' || /too many authentication failures/i.test(error.message)) {
    const offered = [...new Set(tried)].join(', ') || 'no key';
    const why = /too many/i.test(error.message)
      ? ' It allows fewer attempts (MaxAuthTries) than there are keys: set IdentitiesOnly and one IdentityFile.'
      : '';
    const files = options.loginMethods.includes('publickey')
      ? filesWords(options.identityFiles)
      : 'not used, by PubkeyAuthentication or PreferredAuthentications';
    return new ConnectError(
      'refused-key',
      node,
      `${node} refused to log in ${options.user} (tried: ${offered}; identity files: ${files}).${why} Check User and IdentityFile of this host in the ssh config, and that "ssh ${node}" works in a terminal`,
      false,
    );
  }
  if (error.level === 'protocol' && /lost before handshake/i.test(error.message))
    return unreachable(droppedWords(node, options));
  if (/no matching host key/i.test(error.message))
    return new ConnectError(
      'config',
      node,
      `${node} (${address}) has no host key of a kind that HostKeyAlgorithms of the ssh config allows. Add its kind there; "ssh ${node}" in a terminal says what it offers`,
      false,
    );
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return unreachable(
        options.host === node
          ? `there is no host named ${node}. Check its name, that it is a Host of the ssh config, and the VPN`
          : `there is no host named ${options.host} (${node}). Check HostName in the ssh config, and the VPN`,
      );
    case 'ECONNREFUSED':
      return unreachable(`${node} (${address}) refused the connection: no sshd listens there`);
    case 'ECONNRESET':
    case 'EPIPE':
      return unreachable(droppedWords(node, options));
    default:
      return unreachable(`cannot reach ${node} (${address}): ${error.message}`);
  }
}

function filesWords(files: readonly string[]): string {
  const there = files.filter((file) => existsSync(file));
  if (there.length > 0 || files.length === 0) return there.join(', ') || 'none';
  return `${files.join(', ')}, ${files.length === 1 ? 'which is not there' : 'of which none is there'}`;
}

/** What was wanted of a person, when nobody was there. */
export interface Unasked {
  /** Encrypted keys that could not be opened. */
  readonly keys: readonly string[];
  /** The host takes a password, or asks other questions. */
  readonly password: boolean;
}

/** A refusal as it is told where nobody could be asked for what might have helped. */
export function withoutPerson(
  refusal: ConnectError,
  node: string,
  { keys, password }: Unasked,
): ConnectError {
  if (keys.length === 0 && !password) return refusal;
  const ways = 'connect where you can be asked: in a VS Code window (Refresh), or by cq in a terminal';
  const message =
    keys.length > 0
      ? `${node} was not logged in to: ${keys.join(' and ')} has a passphrase, and nobody could be asked for it. Give the key to your agent (ssh-add ${keys.join(' ')}), or ${ways}`
      : `${refusal.message}. It takes a password too, and nobody could be asked for it; for that, ${ways}`;
  return new ConnectError(refusal.code, node, message, false, true);
}

/** What to say when the other side hangs up before it let us in. */
export function droppedWords(node: string, { host, port }: SshOptions): string {
  return `${node} (${host}:${port}) closed the connection during the SSH handshake (too many connections at once? MaxStartups in its sshd_config limits them)`;
}
