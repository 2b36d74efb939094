import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { explain } from './explain';
import type { Keyring } from './keyring';
import type { SshOptions } from './sshOptions';
import { gatherWrites, tcpSocket } from './tcp';
import { ConnectError } from './transport';

// A busy login node on another continent: the time for TCP, and again for key exchange and authentication.
const CONNECT_TIMEOUT_MS = 20_000;
/** sshd's LoginGraceTime: nobody has longer to answer. */
const ANSWER_MS = 120_000;
/** The `ssh` that a ProxyCommand begins with. */
const BY_SSH = /^\s*(?:exec\s+)?(?:\S*\/)?ssh(?=\s)/;
/** What `ssh` says when a question might have helped. */
const UNASKED = /Permission denied|Host key verification failed/;

/** How long a step of connecting may take, in ms. */
export function connectLimit(options: SshOptions): number {
  return options.connectTimeout > 0 ? options.connectTimeout * 1000 : CONNECT_TIMEOUT_MS;
}

/** What ssh2 talks over, and what its other side said when it is a command. */
export interface Carrier {
  readonly stream: Duplex;
  /** The last words of a ProxyCommand on stderr, if it has ended; one that lives on has nothing to do with it. */
  lastWords(): Promise<string>;
}

/** A TCP connection, or the ProxyCommand of the options. @throws ConnectError */
export function openCarrier(
  node: string,
  options: SshOptions,
  signal: AbortSignal | undefined,
  keyring?: Keyring,
): Promise<Carrier> {
  const { proxyCommand } = options;
  if (proxyCommand !== undefined) {
    // `ssh` asks on the terminal by itself, past our own questions.
    const asks = BY_SSH.test(proxyCommand) && process.stdin.isTTY && keyring?.canAsk === true;
    return asks
      ? sshInTurn(node, proxyCommand, options, signal, keyring)
      : Promise.resolve(proxy(proxyCommand));
  }
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

/**
 * Two `ssh` that ask on one terminal at once share the line that is typed, and the passphrase of the second is shown. So they
 * first run side by side and ask nothing; what is refused then is run again as it stands, one after the other.
 */
async function sshInTurn(
  node: string,
  command: string,
  options: SshOptions,
  signal: AbortSignal | undefined,
  keyring: Keyring,
): Promise<Carrier> {
  const givenUp = (): boolean => signal?.aborted === true;
  const attempt = async (line: string, limitMs: number): Promise<Carrier | string> => {
    if (givenUp()) throw gaveUp(node);
    const carrier = proxy(line);
    const end = (): void => void carrier.stream.destroy();
    const timer = setTimeout(end, limitMs);
    signal?.addEventListener('abort', end, { once: true });
    const begun = await carrier.begun();
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
    if (givenUp()) throw gaveUp(node);
    if (begun) return carrier;
    end();
    return (await carrier.lastWords()) || 'nothing';
  };
  let result = await attempt(command.replace(BY_SSH, '$& -o BatchMode=yes'), connectLimit(options));
  if (typeof result === 'string' && UNASKED.test(result))
    result = await keyring.inTurn(() => attempt(command, ANSWER_MS));
  if (typeof result !== 'string') return result;
  throw explain(new Error(`the ProxyCommand said: ${result}`), node, options, []);
}

/** `begun`: whether something came of it before its end. */
function proxy(command: string): Carrier & { begun(): Promise<boolean> } {
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
  const begun = (): Promise<boolean> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (child.stdout.readableLength === 0) return;
        child.stdout.off('readable', look);
        resolve(true);
      };
      child.stdout.on('readable', look);
      stream.once('close', () => resolve(false));
      void ended.then(() => resolve(false));
    });
  const lastWords = (): Promise<string> =>
    Promise.race([
      ended.then(() => words.trim()),
      new Promise<string>((resolve) => setTimeout(resolve, 300, '').unref()),
    ]);
  return { stream, begun, lastWords };
}
