import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** How a `cq` ended and what it printed. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program `cq`, bundled as it ships, with a state folder and a home of its own. */
export class Cq {
  readonly dir = mkdtempSync(path.join(os.tmpdir(), 'cq-cli-'));
  readonly home = path.join(this.dir, 'state');
  readonly program = path.join(this.dir, 'cq.js');
  readonly env: Record<string, string | undefined>;
  private readonly running = new Set<Running>();

  constructor(env: Record<string, string> = {}) {
    this.env = { ...process.env, HOME: this.dir, CLUSTER_QUEUE_HOME: this.home, ...env };
    execFileSync(process.execPath, ['esbuild.js', '--production', '--cq', this.dir]);
  }

  /** Runs it to its end. */
  run(...args: string[]): Promise<Ended> {
    return this.start(...args).end;
  }

  /** Starts it. */
  start(...args: string[]): Running {
    const child = spawn(process.execPath, ['--', this.program, ...args], { env: this.env, cwd: this.dir });
    const running = new Running(child);
    this.running.add(running);
    // What cannot be started is told to whoever waits for its end, and is nobody's uncaught error.
    void running.end.catch(() => undefined).then(() => this.running.delete(running));
    return running;
  }

  async close(): Promise<void> {
    await Promise.all([...this.running].map((running) => running.stop('SIGKILL')));
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

/** A `cq` that runs. */
export class Running {
  private stdout = '';
  private stderr = '';
  private readonly checks = new Set<() => void>();
  readonly end: Promise<Ended>;

  constructor(private readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString('utf8');
      for (const check of [...this.checks]) check();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8');
      for (const check of [...this.checks]) check();
    });
    child.stdin?.end();
    this.end = once(child, 'close').then(([code]: unknown[]) => ({
      code: typeof code === 'number' ? code : null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Waits until it has printed what matches. */
  said(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${String(pattern)} never came: ${this.stdout}${this.stderr}`)),
        20_000,
      );
      const check = (): void => {
        if (!pattern.test(this.stdout + this.stderr)) return;
        clearTimeout(timer);
        this.checks.delete(check);
        resolve();
      };
      this.checks.add(check);
      check();
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals): Promise<Ended> {
    this.signal(signal);
    return this.end;
  }
}
