import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { systemCodeOf } from './errors';

const run = promisify(execFile);

/** What tells a process from every other one, also after its pid was given to a stranger. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in whatever form the system says it; compared, never read. */
  readonly started: string;
  readonly host: string;
  /** The machine's boot, empty where the system does not say. */
  readonly boot: string;
  /** The pid namespace (containers have their own), empty where there is none. */
  readonly namespace: string;
}

/** `unseen`: it lives, or lived, where this process cannot look. */
export type Liveness = 'alive' | 'dead' | 'unseen';

/** The identity of this process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  return {
    pid: process.pid,
    started: (await startOf(process.pid)) ?? '',
    host: hostname(),
    boot: await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
      (text) => text.trim(),
      () => '',
    ),
    namespace: await readlink('/proc/self/ns/pid').catch(() => ''),
  };
}

/** Whether another process still runs, as far as `own` can see. */
export async function livenessOf(other: ProcessIdentity, own: ProcessIdentity): Promise<Liveness> {
  if (other.boot !== own.boot) return other.host === own.host ? 'dead' : 'unseen';
  if (other.namespace !== own.namespace) return 'unseen';
  // Without a boot id (macOS, Windows) the name of the machine is all there is to go by.
  if (own.boot === '' && other.host !== own.host) return 'unseen';
  const started = await startOf(other.pid);
  if (started === undefined) return 'dead';
  // Where the system does not say when it began (another's process, a program that may not be run), a live one may be it.
  return started === '' || other.started === '' || started === other.started ? 'alive' : 'dead';
}

/** When the process started, empty when the system does not say; undefined when there is none. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    // The command's name (in parentheses) may hold spaces and parentheses itself; state is field 3, start field 22.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie holds nothing any more.
    return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  // In UTC: a laptop's time zone changes while it runs.
  const [command, args]: [string, string[]] =
    process.platform === 'win32'
      ? [
          'powershell',
          ['-NoProfile', '-NonInteractive', '-Command', `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`],
        ]
      : ['ps', ['-o', 'lstart=', '-p', String(pid)]];
  const answer = await run(command, args, {
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    windowsHide: true,
  }).catch(() => undefined);
  return startSaid(answer?.stdout, () => exists(pid));
}

/** What a system's answer to "when did it start" comes to; `answer` is undefined when there was none. */
export function startSaid(answer: string | undefined, exists: () => boolean): string | undefined {
  const started = answer?.trim() ?? '';
  return started !== '' || exists() ? started : undefined;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, and somebody else's.
    return systemCodeOf(error) === 'EPERM';
  }
}
