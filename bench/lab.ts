import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { World } from '../test/support/world';

const run = promisify(execFile);

/** What a lab's one node is. */
export interface LabOptions {
  /** Declared V100s. */
  readonly gpus?: number;
}

/** One sshd node on loopback, an engine that reaches it as the cluster `lab`, and OpenSSH's client set up for it. */
export class Lab {
  private master: ChildProcess | undefined;

  private constructor(
    readonly world: World,
    /** The node's home folder. */
    readonly home: string,
    readonly port: number,
    readonly address: string,
  ) {}

  static async open({ gpus = 0 }: LabOptions = {}): Promise<Lab> {
    const world = new World();
    try {
      const { home, port, address } = await world.nodes.add('node');
      await world.open();
      await world.cluster('lab', ['node'], gpus);
      return new Lab(world, home, port, address);
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Words that begin an ssh command line for the node. */
  ssh(shared: boolean): string[] {
    const sharing = shared
      ? ['-o', 'ControlMaster=no', '-o', `ControlPath=${this.controlPath}`]
      : ['-o', 'ControlPath=none'];
    return ['-F', this.world.nodes.configFile, ...sharing];
  }

  get controlPath(): string {
    return path.join(this.world.nodes.dir, 'master');
  }

  /** Opens the connection that `ssh(true)` shares. */
  async openMaster(): Promise<void> {
    const words = ['-F', this.world.nodes.configFile, '-M', '-N', '-S', this.controlPath, 'node'];
    this.master = spawn('ssh', words, { stdio: 'ignore' });
    for (let tries = 0; tries < 200; tries++) {
      try {
        await run('ssh', ['-S', this.controlPath, '-O', 'check', 'node']);
        return;
      } catch {
        await pause(20);
      }
    }
    throw new Error('ssh -M did not come up');
  }

  /** ms until a command's first byte of output over ssh. */
  firstByte(shared: boolean, command: string): Promise<number> {
    const start = performance.now();
    const child = spawn('ssh', [...this.ssh(shared), 'node', command], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return new Promise((resolve, reject) => {
      let at: number | undefined;
      child.stdout.once('data', () => (at = performance.now() - start));
      child.once('close', () => (at === undefined ? reject(new Error('ssh said nothing')) : resolve(at)));
    });
  }

  /** ms from the submit of a job to the first byte of its log at the client. */
  async firstLogByte(yaml: string, cluster = 'lab'): Promise<number> {
    const start = performance.now();
    const { id } = await this.world.submit(cluster, yaml);
    const { mirror, release } = this.world.engine.log(cluster, id);
    const at = await new Promise<number>((resolve) => {
      const stop = mirror.onAppend(() => {
        stop();
        resolve(performance.now() - start);
      });
    });
    if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
    release();
    return at;
  }

  /** Waits until no job waits or runs. */
  idle(limitMs = 600_000): Promise<void> {
    return this.world.until(() => !this.world.engine.busy, 'nothing runs', limitMs);
  }

  async close(): Promise<void> {
    this.master?.kill();
    await this.world.close();
  }
}

/** Runs a text by bash and returns what it printed. @throws when it fails */
export function bash(text: string, env: Readonly<Record<string, string>> = {}): string {
  return execFileSync('bash', ['-c', text], { encoding: 'utf8', env: { ...process.env, ...env } });
}

/** As `bash`, without holding up this process. */
export async function bashLater(text: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await run('bash', ['-c', text], { env: { ...process.env, ...env }, maxBuffer: 2 ** 28 });
  return stdout;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
