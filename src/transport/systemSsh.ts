import { spawn } from 'node:child_process';
import type { SshContext } from './context';
import { letGo } from './letGo';
import { gaveUp } from './socket';
import { destinationArgs } from './sshOptions';
import { ConnectError, type Channel, type Transport } from './transport';

/** As for ssh2: a dead connection is noticed in about a minute. */
const OPTIONS = {
  BatchMode: 'yes',
  // A master would outlive us, and its MaxSessions be shared with the user's own terminals.
  ControlMaster: 'no',
  ControlPath: 'none',
  // It asks only who was silent for so long, which the engine's own check of a node sees to that it is not.
  ServerAliveInterval: '35',
  ServerAliveCountMax: '1',
  ForwardAgent: 'no',
  ClearAllForwardings: 'yes',
  RemoteCommand: 'none',
  RequestTTY: 'no',
};
/** ssh's own exit code for its own troubles. */
const SSH_FAILED = 255;

/**
 * The system's `ssh`, one process for each command: for what ssh2 cannot do (hardware keys, certificates, GSSAPI).
 * It asks nothing: what needs a person (a touch excepted) fails.
 */
export class SystemSsh implements Transport {
  readonly kind = 'ssh';
  onClose: (reason: Error) => void = () => undefined;
  private readonly running = new Set<() => void>();
  private over = false;

  private constructor(
    private readonly node: string,
    private readonly args: readonly string[],
  ) {}

  /**
   * Proves that `ssh` gets in.
   * @throws ConnectError; undefined where there is no `ssh`
   */
  static async connect(
    destination: string,
    context: SshContext,
    signal?: AbortSignal,
  ): Promise<SystemSsh | undefined> {
    const options = Object.entries(OPTIONS).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const args = ['-T', ...options, ...destinationArgs(destination, context.configFile, context.login)];
    const transport = new SystemSsh(destination, args);
    const stop = (): void => transport.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const channel = await transport.start('exit 0');
      if (!channel) return undefined;
      let words = '';
      channel.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2000)));
      channel.stdout.resume();
      channel.stdin.end();
      const { code } = await channel.exit;
      if (signal?.aborted === true) throw gaveUp(destination);
      if (code === SSH_FAILED || code === null) throw refusal(destination, words);
      return transport;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  async exec(command: string): Promise<Channel> {
    const closed = (): ConnectError =>
      new ConnectError('closed', this.node, `the connection to ${this.node} is closed`, true);
    if (this.over) throw closed();
    const channel = await this.start(command);
    if (!channel)
      throw new ConnectError('config', this.node, 'there is no ssh on this machine any more', false);
    return channel;
  }

  close(): void {
    if (this.over) return;
    this.over = true;
    for (const stop of this.running) stop();
    this.onClose(new ConnectError('closed', this.node, `the connection to ${this.node} was closed`, true));
  }

  private start(command: string): Promise<Channel | undefined> {
    const child = spawn('ssh', [...this.args, command], {
      stdio: 'pipe',
      // Not in our process group: a Ctrl-C in the terminal of `cq` is not meant for the node.
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    // Written to after the end: the exit code says what happened.
    child.stdin.on('error', () => undefined);
    return new Promise((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') resolve(undefined);
        else reject(new ConnectError('unreachable', this.node, `cannot start ssh: ${error.message}`, true));
      });
      child.once('spawn', () => {
        const stop = (): void => void child.kill();
        this.running.add(stop);
        const exit = new Promise<{ code: number | null }>((done) => {
          child.once('close', (code) => {
            this.running.delete(stop);
            done({ code });
          });
        });
        resolve({ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, letGo, exit });
      });
    });
  }
}

function refusal(node: string, words: string): ConnectError {
  const last = words.trim().split(/\r?\n/).slice(-2).join('; ') || 'it gave no reason';
  const message = `the system's ssh cannot connect to ${node} either: ${last}`;
  if (/host key verification failed/i.test(words))
    return new ConnectError('unknown-host-key', node, message, false);
  if (/permission denied|too many authentication/i.test(words))
    return new ConnectError('refused-key', node, message, false);
  return new ConnectError('unreachable', node, message, true);
}
