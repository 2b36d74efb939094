import type { JobsOf } from '../engine';
import { isFinished, type JobRecord } from '../queue';
import { EXIT } from './exitCodes';
import { PATIENCE_MS } from '../control/waiting';
import { awayNodes, settled, until, type QueueCli } from './withQueue';

// TERM's grace on the nodes, and what it takes to hear of the end.
const END_MS = 20_000;

/** Cancels jobs and says so. When nobody else looks after them, waits until nothing of them is left. */
export async function cancelJobs(cli: QueueCli, cluster: string, ids: JobsOf | 'all'): Promise<number> {
  const { queue, terminal } = cli;
  const cancelled = await queue.cancel(cluster, ids);
  if (cancelled.length === 0) {
    terminal.note(ids === 'all' ? `no job waits or runs on ${cluster}` : endedBefore(cli, cluster, ids));
    return EXIT.ok;
  }
  terminal.print(`cancelled on ${cluster}: ${cancelled.map(({ id }) => `job ${id}`).join(', ')}`);
  return queue.role === 'host' ? waitForEnds(cli, cluster, cancelled) : EXIT.ok;
}

function endedBefore({ queue }: QueueCli, cluster: string, ids: JobsOf): string {
  if ('group' in ids) return 'all jobs of the group have ended before';
  const words = ids.map((id) => `job ${id} (${queue.job(cluster, id).record.status})`);
  return `ended before: ${words.join(', ')}`;
}

/** Waits until none of the jobs is alive. Resolves to 1 when some still are, with words on stderr. */
export async function waitForEnds(
  cli: QueueCli,
  cluster: string,
  jobs: readonly JobRecord[],
): Promise<number> {
  const alive = (): number[] =>
    jobs
      .map(({ id }) => cli.queue.job(cluster, id).record)
      .filter(({ status }) => !isFinished(status))
      .map(({ id }) => id);
  await settled(cli, [cluster]);
  if (await until(cli, () => alive().length === 0, PATIENCE_MS + END_MS)) return EXIT.ok;
  cli.terminal.note(
    `cq: job ${alive().join(', ')} of ${cluster} could not be ended yet; it is, as soon as its node answers${awayNodes(
      cli,
      cluster,
    )
      .map(({ message }) => `\n  ${message}`)
      .join('')}`,
  );
  return EXIT.error;
}
