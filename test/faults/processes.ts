import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { buildSync } from 'esbuild';
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

/** The supervisor of a job's rank on a node whose home is this one. */
export function supervisorOf(home: string, uuid: string): number {
  const found = processes().find(
    ({ command }) => command.includes(' supervise ') && command.includes(home) && command.includes(uuid),
  );
  if (!found) throw new Error(`no supervisor of ${uuid} below ${home}`);
  return found.pid;
}

/** Processes of jobs on nodes below a folder: they carry the job's mark, or supervise it. */
export function jobProcesses(folder: string): Found[] {
  return processes().filter(
    ({ command, environment }) =>
      (environment.includes('CLUSTER_QUEUE_JOB=') && environment.includes(`HOME=${folder}`)) ||
      (command.includes(' supervise ') && command.includes(folder)),
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
  const all = processes();
  const gone = new Set<number>([Number(readFileSync(path.join(nodeFolder, 'pid'), 'utf8'))]);
  for (let size = 0; size !== gone.size;) {
    size = gone.size;
    for (const { pid, parent } of all) if (gone.has(parent)) gone.add(pid);
  }
  for (const { pid, environment, command } of all) {
    if (environment.includes(`HOME=${home} `) || command.includes(`${home}/.cluster-queue/`)) gone.add(pid);
  }
  for (const pid of gone) {
    if (pid > 1 && pid !== process.pid) kill(pid);
  }
}

/** SIGKILL, whether or not it still lives. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** Bundles a program of this folder, beside the tests so that it finds npm packages; returns its path. */
export function buildProgram(name: string): string {
  const folder = path.resolve('out', 'faults');
  mkdirSync(folder, { recursive: true });
  const outfile = path.join(folder, `${name}-${process.pid}.js`);
  buildSync({
    entryPoints: [path.resolve('test', 'faults', `${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    packages: 'external',
    loader: { '.sh': 'text' },
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  return outfile;
}

/** Starts a program that reports over IPC; its stderr is ours. */
export function startProgram(program: string, settings: object): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', program, JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}
