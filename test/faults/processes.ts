import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { buildSync, type BuildOptions } from 'esbuild';
import type { HostReport, HostSettings } from './engineHost';
import { pause } from './scale';

/** A process of this machine that has something to do with a test's nodes. */
export interface Found {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly environment: string;
}

/** All processes that can be read; zombies are not among them. */
export function processes(): Found[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z' || state === 'X') return [];
        const text = (file: string): string =>
          readFileSync(`/proc/${name}/${file}`, 'utf8').replaceAll('\0', ' ');
        return [
          {
            pid: Number(name),
            parent: Number(parent),
            command: text('cmdline'),
            environment: text('environ'),
          },
        ];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}

/** The agent's own processes that live as long as jobs do, or for staged ones: see sh/head.sh. */
const OF_AGENT = /\/\.cluster-queue\/agent\/\w+\.sh (supervise|claimed|runner) /;

/**
 * The supervisor of a job's rank on a node with this home, by the name that it gave the job: its own command line tells
 * only of the first of the jobs that it had.
 */
export function supervisorOf(home: string, uuid: string): number {
  const pids = supFiles(home, uuid).map(([pid]) => Number(pid));
  const found = processes().find(({ pid, command }) => pids.includes(pid) && OF_AGENT.test(command));
  if (!found) throw new Error(`no supervisor of ${uuid} below ${home}`);
  return found.pid;
}

/** The words of the files that tell who supervises a job's rank. */
function supFiles(home: string, uuid: string): string[][] {
  const root = path.join(home, '.cluster-queue');
  return readdirSync(root)
    .flatMap((node) => [`sup.${node}`, 'sup'].map((name) => path.join(root, node, 'jobs', uuid, name)))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, 'utf8').split(' '));
}

/** The processes of a job's rank that have a mark: its shell has one of its own, which the supervisor wrote down. */
export function markedProcesses(home: string, uuid: string): Found[] {
  const marks = [uuid, ...supFiles(home, uuid).flatMap(([, , , , , mark]) => mark?.trim() || [])];
  return processes().filter(({ environment }) =>
    marks.some((mark) => environment.includes(`CLUSTER_QUEUE_JOB=${mark} `)),
  );
}

/** Processes of jobs on nodes below a folder: they carry the job's mark, supervise it, or look for the next. */
export function jobProcesses(folder: string): Found[] {
  return processes().filter(
    ({ command, environment }) =>
      (environment.includes('CLUSTER_QUEUE_JOB=') && environment.includes(`HOME=${folder}`)) ||
      (OF_AGENT.test(command) && command.includes(folder)),
  );
}

/** Waits until no process of a job is left; they may take a moment after the last one's end was told. */
export async function noneLeft(folder: string, limitMs = 5_000): Promise<void> {
  const end = Date.now() + limitMs;
  for (;;) {
    const left = jobProcesses(folder);
    if (left.length === 0) return;
    if (Date.now() > end)
      throw new Error(`left behind: ${left.map(({ pid, command }) => `${pid} ${command}`).join('; ')}`);
    await pause(50);
  }
}

/** Kills everything that runs on a node, sshd first, as a power cut would: by descent from sshd, and by the home. */
export function powerOff(nodeFolder: string, home: string): void {
  const gone = new Set<number>([Number(readFileSync(path.join(nodeFolder, 'pid'), 'utf8'))]);
  const found = (): void => {
    const all = processes();
    for (let size = 0; size !== gone.size;) {
      size = gone.size;
      for (const { pid, parent } of all) if (gone.has(parent)) gone.add(pid);
    }
    for (const { pid, environment, command } of all) {
      if (environment.includes(`HOME=${home} `) || command.includes(`${home}/.cluster-queue/`)) gone.add(pid);
    }
    gone.delete(1);
    gone.delete(process.pid);
  };
  // All of them stand still before the first one ends: a power cut leaves nobody the time to react to another's end.
  for (let size = 0; size !== gone.size;) {
    size = gone.size;
    found();
    for (const pid of gone) kill(pid, 'SIGSTOP');
  }
  for (const pid of gone) kill(pid);
}

/** Sends a signal to a process, whether or not it still lives. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}

/**
 * Bundles a program of this folder, beside the tests so that it finds npm packages; returns its path. `agent` is put before
 * the agent's text: with it the program is one of another version, to the nodes.
 */
export function buildProgram(name: string, agent = ''): string {
  const folder = path.resolve('out', 'faults');
  mkdirSync(folder, { recursive: true });
  const outfile = path.join(folder, `${name}-${process.pid}${agent === '' ? '' : '-other'}.js`);
  const options: BuildOptions = {
    entryPoints: [path.resolve('test', 'faults', `${name}.ts`)],
    bundle: true,
    platform: 'node',
    packages: 'external',
    loader: { '.sh': 'text' },
    sourcemap: 'inline',
    logLevel: 'warning',
  };
  const [output] = buildSync({ ...options, write: false }).outputFiles;
  assert.ok(output);
  const marker = '#   sh agent.sh session';
  assert.ok(output.text.includes(marker));
  writeFileSync(outfile, output.text.replace(marker, agent + marker));
  return outfile;
}

/** Starts a program that reports over IPC; its stderr is ours. */
export function startProgram(program: string, settings: object): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', program, JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** A process that has the engine of engineHost.ts. */
export interface EngineHost {
  readonly process: ChildProcess;
  /** The engine is open. */
  readonly opened: Promise<void>;
  /** The process is gone. */
  readonly gone: Promise<unknown>;
}

/** Starts one; the numbers of the jobs that its engine accepts go into `accepted`, and what it complains of fails the test. */
export function startEngine(program: string, settings: HostSettings, accepted: Set<number>): EngineHost {
  const host = startProgram(program, settings);
  const opened = new Promise<void>((resolve) => {
    host.on('message', (report: HostReport) => {
      if ('opened' in report) resolve();
      else if ('accepted' in report) accepted.add(report.accepted);
      else assert.fail(`the host said: ${report.trouble}`);
    });
  });
  return { process: host, opened, gone: once(host, 'exit') };
}
