import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { buildSync } from 'esbuild';
import type { QueueRole } from '../../src/control';

export type Order = { readonly number: number } & (
  | { readonly do: 'local' | 'connect' }
  | { readonly do: 'add'; readonly name: string; readonly hosts?: readonly string[] }
  | { readonly do: 'remove' | 'nodes'; readonly name: string }
  | { readonly do: 'submit'; readonly run: string; readonly gpus: number; readonly uuid?: string }
  | { readonly do: 'cancel'; readonly ids: readonly number[] | 'all' }
  | { readonly do: 'again' | 'reason' | 'find' | 'log'; readonly id: number }
  | { readonly do: 'list' | 'jobs'; readonly limit: number }
  | { readonly do: 'sleep'; readonly ms: number }
);

export type Report =
  | { readonly kind: 'open'; readonly pid: number; readonly role: QueueRole }
  | {
      readonly kind: 'state';
      /** ms since 1970. */
      readonly at: number;
      readonly role: QueueRole;
      /** `cluster/id` → status. */
      readonly jobs: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'answer';
      readonly number: number;
      readonly value?: unknown;
      readonly error?: string;
      readonly code?: string;
    }
  | { readonly kind: 'asked'; readonly node: string }
  | { readonly kind: 'grown'; readonly size: number }
  | { readonly kind: 'trouble'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string }
  | { readonly kind: 'closed' };

type Wish = Order extends infer O ? (O extends Order ? Omit<O, 'number'> : never) : never;

/** Bundles a program of this folder, with all that it needs, into another folder. */
function build(name: string, folder: string): string {
  const outfile = path.join(folder, `${name}.js`);
  buildSync({
    entryPoints: [path.resolve('test/control', `${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    loader: { '.sh': 'text' },
    external: ['cpu-features', '*.node'],
    logLevel: 'warning',
  });
  copyFileSync(path.resolve('node_modules/sql.js/dist/sql-wasm.wasm'), path.join(folder, 'sql-wasm.wasm'));
  return outfile;
}

/** Several processes on one state folder. */
export class Members {
  readonly dir = mkdtempSync(path.join(os.tmpdir(), 'cq-control-'));
  readonly home: string;
  private readonly program = build('member', this.dir);
  private readonly all: Member[] = [];

  constructor(
    home = 'state',
    private readonly sshConfigFile = '',
  ) {
    this.home = path.join(this.dir, home);
  }

  /** Runs processes that open and close the queue so many times each; resolves to what they logged, line by line. */
  async race(processes: number, times: number): Promise<string[]> {
    const program = build('racer', this.dir);
    const log = path.join(this.dir, 'race.log');
    const racers = Array.from({ length: processes }, () =>
      spawn(process.execPath, [program, this.home, log, String(times)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
    );
    const ends = await Promise.all(racers.map((racer) => once(racer, 'exit')));
    if (ends.some(([code]) => code !== 0)) throw new Error(`racers ended with ${JSON.stringify(ends)}`);
    return readFileSync(log, 'utf8').trimEnd().split('\n');
  }

  /** Starts a process; it may or may not be open yet. */
  spawn(version = '1'): Member {
    const member = new Member(
      spawn(process.execPath, [this.program, this.home, version, this.sshConfigFile], {
        // Where a socket goes whose state folder has a long path.
        env: { ...process.env, TMPDIR: this.dir },
      }),
    );
    this.all.push(member);
    return member;
  }

  /** Starts a process and waits until it has the queue. */
  async open(version?: string): Promise<Member> {
    const member = this.spawn(version);
    await member.opened;
    return member;
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((member) => member.kill()));
    // The last session may still be putting its folder away.
    for (let tries = 0; ; tries++) {
      try {
        rmSync(this.dir, { recursive: true, force: true });
        return;
      } catch (error) {
        if (tries === 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

/** One process that shares the queue. */
export class Member {
  private readonly reports: Report[] = [];
  private readonly waiting = new Set<() => void>();
  private numbers = 0;
  private readonly exit: Promise<unknown>;
  readonly opened: Promise<Extract<Report, { kind: 'open' }>>;

  constructor(private readonly child: ChildProcess) {
    this.exit = once(child, 'exit');
    if (child.stdout)
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.reports.push(JSON.parse(line) as Report);
        for (const check of [...this.waiting]) check();
      });
    child.stderr?.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    this.opened = this.until('it is open', (reports) => {
      const failed = reports.find(({ kind }) => kind === 'failed');
      if (failed?.kind === 'failed') throw new Error(`${failed.code}: ${failed.message}`);
      return reports.find((report) => report.kind === 'open');
    });
    this.opened.catch(() => undefined);
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** How many questions of nodes came to it. */
  get asked(): number {
    return this.reports.filter(({ kind }) => kind === 'asked').length;
  }

  get role(): QueueRole | undefined {
    return this.reports.filter((report) => report.kind === 'state' || report.kind === 'open').at(-1)?.role;
  }

  /** Gives an order and waits for its answer; the answer's error is thrown as `code: message`. */
  async order(wish: Wish): Promise<unknown> {
    const number = ++this.numbers;
    this.child.stdin?.write(`${JSON.stringify({ ...wish, number })}\n`);
    const answer = await this.until(`${wish.do} is answered`, (reports) =>
      reports.find((report) => report.kind === 'answer' && report.number === number),
    );
    if (answer.kind !== 'answer') throw new Error('not an answer');
    if (answer.error !== undefined) throw new Error(`${answer.code}: ${answer.error}`);
    return answer.value;
  }

  /** The first state it reported in which the job has the status. */
  sees(job: string, ...statuses: string[]): Promise<Extract<Report, { kind: 'state' }>> {
    return this.until(`${job} is ${statuses.join(' or ')}`, (reports) =>
      reports
        .filter((report) => report.kind === 'state')
        .find(({ jobs }) => statuses.includes(jobs[job] ?? 'unknown')),
    );
  }

  until<T>(what: string, found: (reports: readonly Report[]) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(check);
      };
      const check = (): void => {
        try {
          const value = found(this.reports);
          if (value === undefined) return;
          done();
          resolve(value);
        } catch (error) {
          done();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`waited 20 s until ${what}: ${JSON.stringify(this.reports.slice(-5))}`));
      }, 20_000);
      this.waiting.add(check);
      check();
    });
  }

  /** Ends it without a word, as the kernel would. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  /** Lets it close as a window does. */
  async leave(): Promise<void> {
    this.child.stdin?.end();
    await this.exit;
  }
}
