import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { explain } from './explain';
import type { SshOptions } from './sshOptions';
import { gatherWrites, tcpSocket } from './tcp';
import { ConnectError } from './transport';

// A busy login node on another continent: the time for TCP, and again for key exchange and authentication.
const CONNECT_TIMEOUT_MS = 20_000;

/** How long a step of connecting may take, in ms. */
export function connectLimit(options: SshOptions): number {
  return options.connectTimeout > 0 ? options.connectTimeout * 1000 : CONNECT_TIMEOUT_MS;
}

/** What ssh2 talks over, and what its other side said when it is a command. */
export interface Carrier {
  readonly stream: Duplex;
  /** The last words of a ProxyCommand on stderr, once it ended. */
  lastWords(): Promise<string>;
}

/** A TCP connection, or the ProxyCommand of the options. @throws ConnectError */
export function openCarrier(
  node: string,
  options: SshOptions,
  signal: AbortSignal | undefined,
): Promise<Carrier> {
  if (options.proxyCommand !== undefined) return Promise.resolve(proxy(options.proxyCommand));
  return new Promise((resolve, reject) => {
    const socket = tcpSocket(options.host, options.port, options.bindAddress);
    const limit = connectLimit(options);
    const settle = (error: ConnectError | undefined): void => {
      socket.setTimeout(0);
      signal?.removeEventListener('abort', abort);
      if (error) {
        socket.destroy();
        reject(error);
        return;
      }
      // ssh2 leaves Nagle's algorithm on, which costs 40 ms on each small message.
      socket.setNoDelay(true);
      resolve({ stream: socket, lastWords: () => Promise.resolve('') });
    };
    const abort = (): void => settle(gaveUp(node));
    socket.setTimeout(limit, () =>
      settle(
        new ConnectError(
          'timeout',
          node,
          `${node} (${options.host}:${options.port}) did not answer in ${limit / 1000} s. Is it on, and is this machine on its network or VPN?`,
          true,
        ),
      ),
    );
    // Stays on: an error between here and ssh2's own listener must not be one that nobody hears.
    socket.on('error', (error) => settle(explain(error, node, options, [])));
    socket.once('connect', () => settle(undefined));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

/** The error of an attempt that its caller ended. */
export function gaveUp(node: string): ConnectError {
  return new ConnectError('closed', node, `connecting to ${node} was given up`, true);
}

function proxy(command: string): Carrier {
  const windows = process.platform === 'win32';
  // `exec`, as OpenSSH does: the command takes the shell's place, and killing the child kills it.
  const child = spawn(windows ? command : `exec ${command}`, {
    shell: true,
    stdio: 'pipe',
    windowsHide: true,
  });
  gatherWrites(child.stdin);
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-500)));
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.once('error', (error) => stream.destroy(error));
  stream.on('error', () => undefined);
  stream.once('close', () => child.kill());
  return { stream, lastWords: () => ended.then(() => words.trim()) };
}
