import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const SSHD = '/usr/sbin/sshd';

/** True where real sshd nodes can be started; `npm test` installs it when root on Debian. */
export const haveSshd = existsSync(SSHD);

export interface GpuOfNode {
  readonly name: string;
  readonly count: number;
  readonly memoryMiB?: number;
}

export interface NodeOptions {
  readonly gpus?: GpuOfNode;
  /** A home that several nodes share; one of its own otherwise. */
  readonly home?: string;
  /** Put first on the node's PATH. */
  readonly bin?: string;
  /** More lines of sshd_config. */
  readonly config?: string;
  /** The whole PATH of the node. */
  readonly path?: string;
}

/** A real sshd on a loopback address of its own, with a home of its own and, when asked, a fake nvidia-smi. */
export interface TestNode {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly home: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Several nodes with one ssh config, keys and known_hosts: nothing of the user's ~/.ssh is read or written. */
export class TestNodes {
  readonly dir = mkdtempSync(path.join(os.tmpdir(), 'cq-nodes-'));
  readonly configFile = path.join(this.dir, 'ssh_config');
  readonly knownHosts = path.join(this.dir, 'known_hosts');
  readonly userKey = path.join(this.dir, 'user_key');
  private readonly nodes: TestNode[] = [];
  private readonly blocks: string[] = [];

  constructor() {
    // Privilege separation, which sshd does as root alone, wants its folder.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', this.userKey]);
    writeFileSync(this.knownHosts, '');
    this.writeConfig();
  }

  /** Starts a node; it is then reached as `name` through `configFile`. */
  async add(name: string, options: NodeOptions = {}): Promise<TestNode> {
    const number = this.nodes.length + 2;
    const address = `127.0.0.${number}`;
    const dir = path.join(this.dir, name);
    const home = options.home ?? path.join(dir, 'home');
    mkdirSync(home, { recursive: true });
    mkdirSync(path.join(dir, 'bin'), { recursive: true });
    if (options.gpus) writeFakeNvidiaSmi(path.join(dir, 'bin', 'nvidia-smi'), name, options.gpus);
    const hostKey = path.join(dir, 'host_key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
    const port = await freePort(address);
    const authorized = path.join(dir, 'authorized_keys');
    writeFileSync(authorized, readFileSync(`${this.userKey}.pub`));
    chmodSync(authorized, 0o600);
    const bins = [options.bin, path.join(dir, 'bin'), options.path ?? process.env.PATH]
      .filter(Boolean)
      .join(':');
    const config = path.join(dir, 'sshd_config');
    writeFileSync(
      config,
      [
        options.config ?? '',
        `ListenAddress ${address}`,
        `Port ${port}`,
        `HostKey ${hostKey}`,
        `PidFile ${path.join(dir, 'pid')}`,
        `AuthorizedKeysFile ${authorized}`,
        'StrictModes no',
        'UsePAM no',
        'PasswordAuthentication no',
        'PrintMotd no',
        'Subsystem sftp internal-sftp',
        `SetEnv HOME=${home} PATH=${bins} CLUSTER_QUEUE_NODE_ID=${name} CLUSTER_QUEUE_LEASES=${path.join(dir, 'leases')}`,
      ].join('\n') + '\n',
    );
    let daemon: ChildProcess | undefined;
    const start = async (): Promise<void> => {
      const log = path.join(dir, 'sshd.log');
      daemon = spawn(SSHD, ['-D', '-f', config, '-E', log], { stdio: 'ignore', detached: true });
      await waitForPort(address, port, () => (existsSync(log) ? readFileSync(log, 'utf8') : ''));
    };
    const stop = async (): Promise<void> => {
      const running = daemon;
      daemon = undefined;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      await new Promise((resolve) => {
        running.once('exit', resolve);
        running.kill('SIGKILL');
      });
    };
    await start();
    const node = { name, address, port, home, stop, start };
    this.nodes.push(node);
    const key = readFileSync(`${hostKey}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
    writeFileSync(this.knownHosts, `[${address}]:${port} ${key}\n`, { flag: 'a' });
    this.configure(`Host ${name}\n  HostName ${address}\n  Port ${port}`);
    return node;
  }

  /** Adds a block to the ssh config. */
  configure(block: string): void {
    this.blocks.push(block);
    this.writeConfig();
  }

  /** Ends every node and all that ran on them. */
  async close(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    killBelow(this.dir);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  private writeConfig(): void {
    const general = `Host *\n  IdentityFile ${this.userKey}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${this.knownHosts}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n`;
    writeFileSync(this.configFile, [...this.blocks, general].join('\n\n'), { mode: 0o600 });
  }
}

function writeFakeNvidiaSmi(file: string, node: string, gpus: GpuOfNode): void {
  const rows = Array.from({ length: gpus.count }, (_, index) => {
    const uuid = `GPU-${node}-${index}`;
    return `${index}, ${uuid}, ${gpus.memoryMiB ?? 32768}, 0, ${gpus.name}`;
  });
  writeFileSync(
    file,
    `#!/bin/sh\ncase "$*" in\n*--query-gpu=*) cat <<'EOF'\n${rows.join('\n')}\nEOF\n;;\n*--query-compute-apps=*) cat "${file}.apps" 2>/dev/null ;;\nesac\nexit 0\n`,
    { mode: 0o755 },
  );
}

/** Kills every process whose environment says that its home is below `dir`. */
function killBelow(dir: string): void {
  try {
    const found = execFileSync('sh', ['-c', `grep -lsF "HOME=${dir}" /proc/[0-9]*/environ || true`], {
      encoding: 'utf8',
    });
    for (const line of found.split('\n')) {
      const pid = Number(line.split('/')[2]);
      if (pid > 1 && pid !== process.pid) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone already.
        }
      }
    }
  } catch {
    // No /proc (macOS): the tests' own processes end by themselves.
  }
}

function freePort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, address, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound ? bound.port : 0));
    });
  });
}

async function waitForPort(address: string, port: number, log: () => string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, address, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (Date.now() > deadline) throw new Error(`sshd did not start on ${address}:${port}: ${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
