import { userName } from '../control/home';
import { unsettled } from '../control/waiting';
import { duration, isFinished, lacksWords, type JobRecord } from '../queue';
import { EXIT, exitCodeOf } from './exitCodes';
import { jobJson } from './json';
import type { ReadTask } from './readTask';
import { tellScripts } from './scripts';
import { streamLog } from './streamLog';
import type { LimitFlags, TaskFlags } from './taskOptions';
import { toneOf } from './terminal';
import { awayNodes, settled, until, type QueueCli } from './withQueue';

/** Options of the commands that queue a job. */
export interface RunFlags extends TaskFlags, LimitFlags {
  readonly detach?: boolean;
  readonly json?: boolean;
}

// How soon the same reason is told again, when there were others.
const TELL_AGAIN_MS = 60_000;
// How long a job that can start is waited for, when nobody else would start it.
const START_MS = 15_000;

/** Queues what the command line means, and follows it unless told not to. Resolves to the exit code. */
export async function runJob(
  cli: QueueCli,
  cluster: string,
  read: ReadTask,
  flags: RunFlags & { readonly after?: readonly number[] },
): Promise<number> {
  const { limitsOf } = await import('./limits');
  // Only a node that was looked at once can be known to be too small.
  if (cli.queue.view(cluster)?.nodes.some(({ usage }) => !usage)) await settled(cli, [cluster]);
  const { task, source: _source, ...origin } = read;
  const submitted = cli.queue.submit(task, {
    cluster,
    user: userName(),
    ...origin,
    ...(flags.after === undefined ? {} : { after: flags.after }),
    ...limitsOf(flags),
  });
  return attend(cli, await told(cli, read, submitted), flags);
}

/** Says what is amiss with a task that is being submitted: in its scripts, meanwhile, and with its workdir. */
export async function told(cli: QueueCli, read: ReadTask, submitted: Promise<JobRecord>): Promise<JobRecord> {
  const [record] = await Promise.all([submitted, tellScripts(cli, read)]);
  tellLacks(cli, record);
  return record;
}

/** Says what of a job's workdir did not come along. */
export function tellLacks({ terminal }: QueueCli, record: JobRecord | undefined): void {
  const words = record && lacksWords(record);
  if (words !== undefined) terminal.note(words);
}

/** Follows a job that was queued, unless told not to. Resolves to the exit code. */
export async function attend(cli: QueueCli, record: JobRecord, flags: RunFlags): Promise<number> {
  const { queue, terminal } = cli;
  const { cluster, id } = record;
  if (flags.json !== true) terminal.note(`job ${id} queued on ${cluster}`);
  if (flags.detach === true) {
    const code = await leave(cli, record);
    if (flags.json === true) terminal.print(JSON.stringify(jobJson(await queue.find(cluster, id))));
    return code;
  }
  if (flags.json === true) return waitSilently(cli, record);
  return follow(cli, record, 0);
}

/** Prints a job's log to its end. Resolves to the exit code that tells how the job ended. */
export async function follow(cli: QueueCli, { cluster, id }: JobRecord, tail: number): Promise<number> {
  const { queue, terminal } = cli;
  const stopTelling = tellReasons(cli, cluster, id);
  const finished = await streamLog(cli, cluster, id, { follow: true, tail }).finally(stopTelling);
  // Whoever reads may have had enough (`| head`) of the log of a job that has ended.
  if (!finished && !isFinished(queue.job(cluster, id).record.status)) {
    terminal.note(
      `\ndetached: job ${id} goes on. Its log: cq logs ${cluster} ${id} · to end it: cq cancel ${cluster} ${id}`,
    );
    noteUnattended(cli, cluster, id);
    return EXIT.notFinished;
  }
  const { record } = queue.job(cluster, id);
  terminal.note(endWords(cli, record));
  return exitCodeOf(record.status);
}

/** `job 3 FAILED after 5s: exit code 7`. */
export function endWords({ terminal }: QueueCli, record: JobRecord): string {
  const { id, status, startedAt, endedAt, message } = record;
  const took =
    startedAt !== undefined && endedAt !== undefined ? ` after ${duration(endedAt - startedAt)}` : '';
  const why = message === undefined ? '' : `: ${message}`;
  return `job ${id} ${terminal.paintNote(status, toneOf(status))}${took}${why}`;
}

/** Says why the job waits: to a person whenever that changes, else what it is at first, and when its nodes have answered. */
function tellReasons({ queue, terminal }: QueueCli, cluster: string, id: number): () => void {
  const told = new Map<string, number>();
  let stop = (): void => undefined;
  const tell = (): void => {
    const { reason } = queue.job(cluster, id);
    if (!reason || reason.kind === 'starting') return;
    const settled = unsettled(queue.view(cluster)).length === 0;
    if (!terminal.canAsk && !settled && told.size > 0) return;
    // Nodes come and go; and what one says may have a number that is another each time.
    const news = reason.text.replace(/\d{3,}/g, '…');
    const now = Date.now();
    if (now - (told.get(news) ?? 0) < TELL_AGAIN_MS) return;
    told.set(news, now);
    terminal.note(
      terminal.paintNote(
        `job ${id}: ${reason.text}${reason.position === 0 ? '' : ` (place ${reason.position})`}`,
        'dim',
      ),
    );
    if (!terminal.canAsk && settled) stop();
  };
  stop = queue.onDidChange(tell);
  tell();
  return () => stop();
}

/**
 * Waits, when nobody else would start them, until jobs that can start have; and says when some still wait. Of many, the
 * first are looked at: they start first.
 */
export async function started(cli: QueueCli, cluster: string, ids: readonly number[]): Promise<void> {
  const { queue, terminal } = cli;
  if (queue.role !== 'host') return;
  const first = ids.slice(0, 50);
  await until(cli, () => first.every((id) => isOnItsWay(cli, cluster, id)), START_MS);
  const { pending = 0, staged = 0 } = queue.view(cluster) ?? {};
  if (staged > 0)
    terminal.note(
      staged === 1
        ? '1 waiting job starts by itself: nothing needs to stay open for it'
        : `${staged} waiting jobs start by themselves: nothing needs to stay open for them`,
    );
  if (pending > staged)
    terminal.note(
      `${pending - staged} waiting ${pending - staged === 1 ? 'job starts' : 'jobs start'} while VS Code or some cq is open: leave one open with cq engine --background`,
    );
}

/** It runs, or will be started: its node does that, only a client can, or it is held; or it cannot be, its nodes being away. */
function isOnItsWay(cli: QueueCli, cluster: string, id: number): boolean {
  const { queue } = cli;
  const { record, reason } = queue.job(cluster, id);
  if (record.status !== 'PENDING') return record.status !== 'SETTING_UP';
  if (record.held === true) return true;
  // Where only a client can start it, one that starts next, or whose nodes have yet to be heard from, is not there yet.
  const undecided = reason?.kind === 'nodes' && unsettled(queue.view(cluster)).length > 0;
  if (reason?.alone === true || (reason?.alone === false && reason.kind !== 'starting' && !undecided))
    return true;
  const away = awayNodes(cli, cluster).map(({ name }) => name);
  return reason?.waitsFor !== undefined && reason.waitsFor.every((name) => away.includes(name));
}

/** Goes only when the job runs, or waits for what others have: there may be no other process that would start it. */
async function leave(cli: QueueCli, { cluster, id }: JobRecord): Promise<number> {
  const { queue } = cli;
  if (queue.role === 'host') await until(cli, () => isOnItsWay(cli, cluster, id), START_MS);
  noteUnattended(cli, cluster, id);
  return EXIT.ok;
}

function noteUnattended(cli: QueueCli, cluster: string, id: number): void {
  const { queue, terminal } = cli;
  const { record, reason } = queue.job(cluster, id);
  // What it was to come after has not succeeded.
  if (isFinished(record.status) && record.startedAt === undefined) terminal.note(endWords(cli, record));
  if (queue.role !== 'host' || record.status !== 'PENDING') return;
  terminal.note(
    `job ${id}: ${reason?.text ?? 'waiting'}. It starts ${
      reason?.alone === true
        ? 'by itself: nothing needs to stay open'
        : 'while VS Code or some cq is open: leave one open with cq engine --background'
    }`,
  );
}

async function waitSilently(cli: QueueCli, { cluster, id }: JobRecord): Promise<number> {
  await until(cli, () => isFinished(cli.queue.job(cluster, id).record.status));
  const view = cli.queue.job(cluster, id);
  cli.terminal.print(JSON.stringify(jobJson(view)));
  return exitCodeOf(view.record.status);
}
