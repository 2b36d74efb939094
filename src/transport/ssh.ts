import { spawn } from 'node:child_process';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import { fingerprint, keyType, KnownHosts } from './knownHosts';
import { Authentication } from './sshAuth';
import { sshOptions, type SshOptions } from './sshOptions';
import { ConnectError, type Channel, type Prompter, type Transport } from './transport';

/** What a connection needs from its surroundings. */
export interface SshContext {
  /** As `ssh -F`; undefined for the user's own config. */
  readonly configFile: string | undefined;
  /** Absent where nobody can be asked: then only keys that need no question work, and unknown hosts are refused. */
  readonly prompter: Prompter | undefined;
}

// Loopback to a busy login node on another continent: the time for TCP, key exchange and authentication together.
const CONNECT_TIMEOUT_MS = 20_000;
const KEEPALIVE_MS = 15_000;

/** One SSH connection to one node (ssh2), through its ProxyJump hosts or ProxyCommand when the config says so. */
export class SshTransport implements Transport {
  onClose: (reason: Error) => void = () => undefined;
  private over = false;

  private constructor(
    private readonly client: Client,
    private readonly node: string,
    private readonly below: SshTransport | undefined,
  ) {
    client.on('close', () =>
      this.ended(new ConnectError('closed', node, `the connection to ${node} was closed`, true)),
    );
    client.on('error', (error) =>
      this.ended(new ConnectError('closed', node, `the connection to ${node} broke: ${error.message}`, true)),
    );
  }

  /**
   * Connects and authenticates. `node` is how the user calls the node; it stands in every message.
   * @throws ConnectError
   */
  static async connect(
    destination: string,
    context: SshContext,
    signal?: AbortSignal,
  ): Promise<SshTransport> {
    return SshTransport.hop(destination, context, signal, 0);
  }

  private static async hop(
    destination: string,
    context: SshContext,
    signal: AbortSignal | undefined,
    depth: number,
  ): Promise<SshTransport> {
    if (depth > 8)
      throw new ConnectError(
        'config',
        destination,
        `ProxyJump of ${destination} goes round in a circle`,
        false,
      );
    const options = await sshOptions(destination, context.configFile);
    let below: SshTransport | undefined;
    // A chain "a,b" is reached by going to b, which is reached through a.
    for (const jump of options.proxyJump) {
      below = below
        ? await SshTransport.over(below, jump, context, signal)
        : await SshTransport.hop(jump, context, signal, depth + 1);
    }
    try {
      return await SshTransport.authenticate(destination, options, context, signal, below);
    } catch (error) {
      below?.close();
      throw error;
    }
  }

  private static async over(
    below: SshTransport,
    destination: string,
    context: SshContext,
    signal: AbortSignal | undefined,
  ): Promise<SshTransport> {
    const options = await sshOptions(destination, context.configFile);
    return SshTransport.authenticate(destination, options, context, signal, below);
  }

  private static async authenticate(
    node: string,
    options: SshOptions,
    context: SshContext,
    signal: AbortSignal | undefined,
    below: SshTransport | undefined,
  ): Promise<SshTransport> {
    const sock = below
      ? await below.forward(options.host, options.port)
      : await openSocket(node, options, signal);
    const known = await KnownHosts.load(
      options.knownHostsFiles,
      options.hostKeyAlias ?? options.host,
      options.hostKeyAlias === undefined ? options.port : 22,
    );
    const client = new Client();
    let refusal: ConnectError | undefined;
    let pause: (active: boolean) => void = () => undefined;
    const auth = new Authentication(options, node, context.prompter, (active) => pause(active));
    const config: ConnectConfig = {
      sock,
      username: options.user,
      // ssh2's own clock runs on while a person types; ours (below) stands still.
      readyTimeout: 0,
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: 3,
      authHandler: auth.handler as NonNullable<ConnectConfig['authHandler']>,
      ...serverHostKeys(known.knownTypes()),
      hostVerifier: (key: Buffer, verify: (ok: boolean) => void) => {
        pause(true);
        judgeHostKey(node, key, known, options, context.prompter)
          .then((no) => {
            refusal = no;
            pause(false);
            verify(no === undefined);
          })
          .catch((error: unknown) => {
            refusal = new ConnectError(
              'unknown-host-key',
              node,
              `could not check the host key of ${node}: ${String(error)}`,
              false,
            );
            verify(false);
          });
      },
    };
    await new Promise<void>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const limit = options.connectTimeout > 0 ? options.connectTimeout * 1000 : CONNECT_TIMEOUT_MS;
      const settle = (error: Error | undefined): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        if (error) {
          client.end();
          sock.destroy();
          reject(error);
        } else resolve();
      };
      const abort = (): void =>
        settle(new ConnectError('closed', node, `connecting to ${node} was given up`, true));
      pause = (active) => {
        clearTimeout(timer);
        if (!active)
          timer = setTimeout(
            () =>
              settle(
                new ConnectError(
                  'timeout',
                  node,
                  `${node} (${options.host}:${options.port}) accepted the connection but did not finish the SSH handshake in ${limit / 1000} s`,
                  true,
                ),
              ),
            limit,
          );
      };
      pause(false);
      signal?.addEventListener('abort', abort, { once: true });
      client.once('ready', () => settle(undefined));
      client.on('error', (error) => settle(refusal ?? explain(error, node, options, auth.tried)));
      client.once('close', () =>
        settle(
          refusal ??
            new ConnectError(
              'unreachable',
              node,
              `${node} (${options.host}:${options.port}) closed the connection during the SSH handshake (too many connections at once? MaxStartups in its sshd_config limits them)`,
              true,
            ),
        ),
      );
      client.connect(config);
    });
    client.removeAllListeners();
    return new SshTransport(client, node, below);
  }

  exec(command: string): Promise<Channel> {
    return new Promise((resolve, reject) => {
      if (this.over) {
        reject(new ConnectError('closed', this.node, `the connection to ${this.node} is closed`, true));
        return;
      }
      this.client.exec(command, (error, channel) => {
        if (error)
          reject(
            new ConnectError(
              'closed',
              this.node,
              `${this.node} refused another session: ${error.message}`,
              true,
            ),
          );
        else resolve(asChannel(channel));
      });
    });
  }

  close(): void {
    this.client.end();
    this.ended(new ConnectError('closed', this.node, `the connection to ${this.node} was closed`, true));
  }

  private forward(host: string, port: number): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      this.client.forwardOut('127.0.0.1', 0, host, port, (error, stream) => {
        if (error)
          reject(
            new ConnectError(
              'unreachable',
              this.node,
              `${this.node} cannot reach ${host}:${port}: ${error.message}`,
              true,
            ),
          );
        else resolve(stream);
      });
    });
  }

  private ended(reason: Error): void {
    if (this.over) return;
    this.over = true;
    this.client.destroy();
    this.below?.close();
    this.onClose(reason);
  }
}

function asChannel(channel: ClientChannel): Channel {
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit: new Promise((resolve) => {
      let code: number | null = null;
      channel.once('exit', (status: number | null) => (code = status));
      channel.once('close', () => resolve({ code }));
    }),
  };
}

async function openSocket(
  node: string,
  options: SshOptions,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  if (options.proxyCommand !== undefined) return proxySocket(options.proxyCommand);
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: options.host, port: options.port, signal });
    const limit = options.connectTimeout > 0 ? options.connectTimeout * 1000 : CONNECT_TIMEOUT_MS;
    socket.setTimeout(limit, () => {
      socket.destroy();
      reject(
        new ConnectError(
          'timeout',
          node,
          `${node} (${options.host}:${options.port}) did not answer in ${limit / 1000} s. Is it on, and is this machine on its network or VPN?`,
          true,
        ),
      );
    });
    socket.once('error', (error) => reject(explain(error, node, options, [])));
    socket.once('connect', () => {
      socket.setTimeout(0);
      // ssh2 leaves Nagle's algorithm on, which costs 40 ms on each small message.
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

function proxySocket(command: string): Duplex {
  const child = spawn(command, { shell: true, stdio: ['pipe', 'pipe', 'ignore'] });
  const socket = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.once('error', (error) => socket.destroy(error));
  socket.once('close', () => child.kill());
  return socket;
}

/** Asks the server for a key of a type we know it by, as OpenSSH does; otherwise a second key type looks like an attack. */
function serverHostKeys(known: readonly string[]): Pick<ConnectConfig, 'algorithms'> {
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
  return { algorithms: { serverHostKey: [...first, ...supported.filter((name) => !names.includes(name))] } };
}

/** Undefined when the key is good; otherwise the refusal. */
async function judgeHostKey(
  node: string,
  key: Buffer,
  known: KnownHosts,
  options: SshOptions,
  prompter: Prompter | undefined,
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
      const { strictHostKeyChecking: strict } = options;
      const trusted =
        strict === 'no' ||
        strict === 'accept-new' ||
        (strict === 'ask' && (await prompter?.trustHost(node, keyType(key), print)));
      if (trusted) {
        await known.remember(key);
        return undefined;
      }
      return new ConnectError(
        'unknown-host-key',
        node,
        `the host key of ${node} (${keyType(key)} ${print}) is not in ${file}. Connect once with "ssh ${node}" in a terminal to check and accept it`,
        false,
      );
    }
  }
}

function explain(
  error: Error & { code?: string; level?: string },
  node: string,
  options: SshOptions,
  tried: readonly string[],
): ConnectError {
  const address = `${options.host}:${options.port}`;
  if (error.level === 'client-authentication') {
    const offered = [...new Set(tried)].join(', ') || 'no key';
    return new ConnectError(
      'refused-key',
      node,
      `${node} refused to log in ${options.user} (tried: ${offered}; identity files: ${options.identityFiles.join(', ') || 'none'}). Check User and IdentityFile of this host in the ssh config, and that "ssh ${node}" works in a terminal`,
      false,
    );
  }
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConnectError(
        'unreachable',
        node,
        `there is no host named ${options.host} (${node}). Check HostName in the ssh config, and the VPN`,
        true,
      );
    case 'ECONNREFUSED':
      return new ConnectError(
        'unreachable',
        node,
        `${node} (${address}) refused the connection: no sshd listens there`,
        true,
      );
    default:
      return new ConnectError(
        'unreachable',
        node,
        `cannot reach ${node} (${address}): ${error.message}`,
        true,
      );
  }
}
