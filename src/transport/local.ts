import { spawn } from 'node:child_process';
import { letGo } from './letGo';
import { ConnectError, type Channel, type Transport } from './transport';

/** "Connects" to this machine: commands are child processes. `env` is added to this process's own. */
export class LocalTransport implements Transport {
  readonly kind = 'local';
  private readonly running = new Set<Channel>();
  onClose: (reason: Error) => void = () => undefined;

  constructor(
    private readonly node: string,
    private readonly env: Readonly<Record<string, string>> = {},
  ) {}

  exec(command: string): Promise<Channel> {
    if (process.platform === 'win32')
      return Promise.reject(
        new ConnectError(
          'config',
          this.node,
          'jobs run on Linux and macOS, and this machine is Windows itself: open a folder in WSL (or use cq there) to use it as a node, or add machines that you reach by ssh',
          false,
        ),
      );
    const child = spawn('/bin/sh', ['-c', command], {
      stdio: 'pipe',
      // Not in our process group: a Ctrl-C in the terminal of `cq` is not meant for the agent.
      detached: true,
      env: { ...process.env, ...this.env },
    });
    return new Promise((resolve, reject) => {
      child.once('error', (error) => {
        reject(
          new ConnectError(
            'unreachable',
            this.node,
            `cannot start /bin/sh on this machine: ${error.message}`,
            true,
          ),
        );
      });
      child.once('spawn', () => {
        const channel: Channel = {
          stdin: child.stdin,
          stdout: child.stdout,
          stderr: child.stderr,
          letGo,
          exit: new Promise((done) => child.once('close', (code) => done({ code }))),
        };
        this.running.add(channel);
        void channel.exit.then(() => this.running.delete(channel));
        resolve(channel);
      });
    });
  }

  close(): void {
    for (const channel of this.running) channel.stdin.end();
    this.onClose(new ConnectError('closed', this.node, `the session on ${this.node} was closed`, true));
    this.onClose = () => undefined;
  }
}
