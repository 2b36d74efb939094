import { userName } from '../control/home';
import { duration, isFinished, type JobRecord } from '../queue';
import { EXIT, exitCodeOf } from './exitCodes';
import { jobJson } from './json';
import { readTask, type TaskFlags } from './readTask';
import { streamLog } from './streamLog';
import { toneOf } from './terminal';
import { settled, until, type QueueCli } from './withQueue';

/** Options of the commands that queue a job. */
export interface RunFlags extends TaskFlags {
  readonly detach?: boolean;
  readonly json?: boolean;
}

// How long a job that can start is waited for, when nobody else would start it.
const START_MS = 15_000;

/** Queues what the command line means, and follows it unless told not to. Resolves to the exit code. */
export async function runJob(
  cli: QueueCli,
  cluster: string,
  { task, file }: ReturnType<typeof readTask>,
  flags: RunFlags & { readonly after?: readonly number[] },
): Promise<number> {
  // Only a node that was looked at once can be known to be too small.
  if (cli.queue.view(cluster)?.nodes.some(({ usage }) => !usage)) await settled(cli, [cluster]);
  const record = await cli.queue.submit(task, {
    cluster,
    user: userName(),
    ...(file === undefined ? {} : { file }),
    ...(flags.after === undefined ? {} : { after: flags.after }),
  });
  return attend(cli, record, flags);
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
  if (!finished) {
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

/** Says, to a person, why the job waits, whenever that changes. */
function tellReasons({ queue, terminal }: QueueCli, cluster: string, id: number): () => void {
  let told = '';
  const tell = (): void => {
    const { reason } = queue.job(cluster, id);
    if (!reason || reason.kind === 'starting' || reason.text === told) return;
    told = reason.text;
    terminal.note(terminal.paintNote(`job ${id} ${told} (place ${reason.position})`, 'dim'));
  };
  tell();
  return terminal.canAsk ? queue.onDidChange(tell) : () => undefined;
}

/** Goes only when the job runs, or waits for what others have: there may be no other process that would start it. */
async function leave(cli: QueueCli, { cluster, id }: JobRecord): Promise<number> {
  const { queue } = cli;
  if (queue.role !== 'host') return EXIT.ok;
  await until(
    cli,
    () => {
      const { record, reason } = queue.job(cluster, id);
      if (record.status === 'PENDING') return reason?.kind === 'resources';
      return record.status !== 'SETTING_UP';
    },
    START_MS,
  );
  noteUnattended(cli, cluster, id);
  return EXIT.ok;
}

function noteUnattended({ queue, terminal }: QueueCli, cluster: string, id: number): void {
  const { record, reason } = queue.job(cluster, id);
  if (queue.role !== 'host' || record.status !== 'PENDING') return;
  terminal.note(
    `job ${id} waits${reason ? ` (${reason.text})` : ''}, and starts while VS Code or some cq is open: leave one open with cq engine`,
  );
}

async function waitSilently(cli: QueueCli, { cluster, id }: JobRecord): Promise<number> {
  await until(cli, () => isFinished(cli.queue.job(cluster, id).record.status));
  const view = cli.queue.job(cluster, id);
  cli.terminal.print(JSON.stringify(jobJson(view)));
  return exitCodeOf(view.record.status);
}
