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
  /** Fake tools by name: shell text, e.g. of an nvidia-smi that `gpus` does not do for. */
  readonly tools?: Readonly<Record<string, string>>;
  /** A home that several nodes share; one of its own otherwise. */
  readonly home?: string;
  /** Put first on the node's PATH. */
  readonly bin?: string;
  /** More lines of sshd_config. */
  readonly config?: string;
  /** More of the node's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The whole PATH of the node. */
  readonly path?: string;
  /** The Unix user who has the node, instead of the one who runs the tests; for root only. */
  readonly user?: string;
  /** Nodes of one machine have its name for themselves, its GPUs and its leases. */
  readonly machine?: string;
}

/** A real sshd on a loopback address of its own, with a home of its own and, when asked, a fake nvidia-smi. */
export interface TestNode {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly home: string;
  /** Ends the daemon; connections that are open stay. */
  stop(): Promise<void>;
  /** Ends the daemon and every connection it has, but none of the jobs. */
  crash(): Promise<void>;
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
    // Mocha's workers number themselves: none of them finds a port free that another is about to take.
    const address = `127.0.${Number(process.env.MOCHA_WORKER_ID ?? 0)}.${number}`;
    const dir = path.join(this.dir, name);
    const home = options.home ?? path.join(dir, 'home');
    const machine = options.machine ?? name;
    const leases = options.machine === undefined ? dir : this.dir;
    mkdirSync(home, { recursive: true });
    mkdirSync(path.join(dir, 'bin'), { recursive: true });
    if (options.gpus) writeFakeNvidiaSmi(path.join(dir, 'bin', 'nvidia-smi'), machine, options.gpus);
    for (const [tool, text] of Object.entries(options.tools ?? {}))
      writeFileSync(path.join(dir, 'bin', tool), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
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
        `SetEnv HOME=${home} PATH=${bins} CLUSTER_QUEUE_NODE_ID=${machine} CLUSTER_QUEUE_LEASES=${path.join(leases, 'leases')}${Object.entries(
          options.env ?? {},
        )
          .map(([name, value]) => ` ${name}=${value}`)
          .join('')}`,
      ].join('\n') + '\n',
    );
    if (options.user !== undefined) this.giveTo(options.user, dir);
    let daemon: ChildProcess | undefined;
    const start = async (): Promise<void> => {
      const log = path.join(dir, 'sshd.log');
      const as = options.user === undefined ? [] : asUser(options.user);
      const [command, args] = [as[0] ?? SSHD, ['-D', '-f', config, '-E', log]];
      daemon = spawn(command, as.length > 0 ? [...as.slice(1), SSHD, ...args] : args, {
        stdio: 'ignore',
        detached: true,
      });
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
    const crash = async (): Promise<void> => {
      const pids = daemon?.pid === undefined ? [] : daemonsBelow(daemon.pid);
      await stop();
      for (const pid of pids) killIfThere(pid);
    };
    await start();
    const node = { name, address, port, home, stop, crash, start };
    this.nodes.push(node);
    const key = readFileSync(`${hostKey}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
    writeFileSync(this.knownHosts, `[${address}]:${port} ${key}\n`, { flag: 'a' });
    const login = options.user === undefined ? '' : `\n  User ${options.user}`;
    this.configure(`Host ${name}\n  HostName ${address}\n  Port ${port}${login}`);
    return node;
  }

  /** A node by its name. */
  find(name: string): TestNode {
    const node = this.nodes.find((other) => other.name === name);
    if (!node) throw new Error(`there is no node ${name}`);
    return node;
  }

  private giveTo(user: string, dir: string): void {
    execFileSync('chown', ['-R', user, dir]);
    // Leases are in a folder for all.
    chmodSync(this.dir, 0o777);
  }

  /** Adds a block to the ssh config. */
  configure(block: string): void {
    this.blocks.push(block);
    this.writeConfig();
  }

  /** Ends every node and all that ran on them. */
  async close(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    for (const { home } of this.nodes) leaveNothingStaged(home);
    const outside = this.nodes.map(({ home }) => home).filter((home) => !home.startsWith(this.dir));
    const folders = [this.dir, ...new Set(outside)];
    // One that is killed may just have started another, which cannot be told by its environment for a moment.
    for (let rounds = 0, quiet = 0; quiet < 2 && rounds < 50; rounds++) {
      const killed = folders.reduce((sum, folder) => sum + killBelow(folder), 0);
      quiet = killed > 0 ? 0 : quiet + 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  private writeConfig(): void {
    const general = `Host *\n  IdentityFile ${this.userKey}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${this.knownHosts}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n`;
    writeFileSync(this.configFile, [...this.blocks, general].join('\n\n'), { mode: 0o600 });
  }
}

function asUser(user: string): string[] {
  return ['setpriv', `--reuid=${user}`, '--clear-groups', '--'];
}

function writeFakeNvidiaSmi(file: string, node: string, gpus: GpuOfNode): void {
  const rows = Array.from({ length: gpus.count }, (_, index) => {
    const uuid = `GPU-${node}-${index}`;
    return `${index}, ${uuid}, ${gpus.memoryMiB ?? 32768}, 0, ${gpus.name}`;
  });
  writeFileSync(
    file,
    `#!/bin/sh\ncase "$*" in\n*--query-gpu=*) cat <<'EOF'\n${rows.join('\n')}\nEOF\n;;\n*--query-compute-apps=*) cat "${file}.apps" 2>/dev/null ;;\n'') echo '| NVIDIA-SMI 535.104.05   Driver Version: 535.104.05   CUDA Version: 12.2     |' ;;\nesac\nexit 0\n`,
    { mode: 0o755 },
  );
}

/** The processes of sshd that a daemon has forked, one for each open connection or two. */
function daemonsBelow(daemon: number): number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,comm='], { encoding: 'utf8' }).split('\n');
  const processes = rows.map((row) => row.trim().split(/\s+/));
  const found = [daemon];
  for (const parent of found) {
    for (const [pid, ppid, name] of processes) {
      if (Number(ppid) === parent && name?.startsWith('sshd')) found.push(Number(pid));
    }
  }
  return found.slice(1);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** What waits there would go on: the end of each job starts the next. */
function leaveNothingStaged(home: string): void {
  try {
    rmSync(path.join(home, '.cluster-queue', 'staged'), { recursive: true, force: true, maxRetries: 5 });
  } catch {
    // A home that cannot be written, which starts nothing either.
  }
}

/** Kills every process whose environment says that its home is below `dir`; says how many those were. */
function killBelow(dir: string): number {
  let killed = 0;
  try {
    const found = execFileSync('sh', ['-c', `grep -lsF "HOME=${dir}" /proc/[0-9]*/environ || true`], {
      encoding: 'utf8',
    });
    for (const line of found.split('\n')) {
      const pid = Number(line.split('/')[2]);
      if (!(pid > 1) || pid === process.pid) continue;
      killIfThere(pid);
      killed++;
    }
  } catch {
    // No /proc (macOS): the tests' own processes end by themselves.
  }
  return killed;
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
