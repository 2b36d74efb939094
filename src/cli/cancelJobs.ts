import type { JobsOf } from '../engine';
import { isFinished, type JobRecord } from '../queue';
import { EXIT } from './exitCodes';
import { PATIENCE_MS } from '../control/waiting';
import { awayNodes, settled, until, type QueueCli } from './withQueue';

// TERM's grace on the nodes, and what it takes to hear of the end.
const END_MS = 20_000;

/**
 * Cancels jobs and says so, but for those that end only when a node of theirs can be reached again: then it resolves to 1. When
 * nobody else looks after them, waits until nothing of the others is left.
 */
export async function cancelJobs(cli: QueueCli, cluster: string, ids: JobsOf | 'all'): Promise<number> {
  const { queue, terminal } = cli;
  const cancelled = await queue.cancel(cluster, ids);
  if (cancelled.length === 0) {
    terminal.note(ids === 'all' ? `no job waits or runs on ${cluster}` : endedBefore(cli, cluster, ids));
    return EXIT.ok;
  }
  if (queue.role === 'host') await settled(cli, [cluster]);
  const late = alive(cli, cancelled).filter((record) => isOutOfReach(cli, record));
  const others = cancelled.filter(({ id }) => !late.some((record) => record.id === id));
  if (others.length > 0)
    terminal.print(`cancelled on ${cluster}: ${others.map(({ id }) => `job ${id}`).join(', ')}`);
  if (late.length > 0) tellLate(cli, cluster, late);
  const code = queue.role === 'host' ? await waitForEnds(cli, cluster, others) : EXIT.ok;
  return late.length > 0 ? EXIT.error : code;
}

function isOutOfReach(cli: QueueCli, { cluster, placement, staged }: JobRecord): boolean {
  const nodes = placement?.ranks.map(({ node }) => node) ?? staged?.nodes ?? [];
  return awayNodes(cli, cluster).some(({ name }) => nodes.includes(name));
}

function endedBefore({ queue }: QueueCli, cluster: string, ids: JobsOf): string {
  if ('group' in ids) return 'all jobs of the group have ended before';
  const words = ids.map((id) => `job ${id} (${queue.job(cluster, id).record.status})`);
  return `ended before: ${words.join(', ')}`;
}

/** Waits until none of the jobs is alive; for nodes that are settled. Resolves to 1 when some still are, with words on stderr. */
export async function waitForEnds(
  cli: QueueCli,
  cluster: string,
  jobs: readonly JobRecord[],
): Promise<number> {
  if (await until(cli, () => alive(cli, jobs).length === 0, PATIENCE_MS + END_MS)) return EXIT.ok;
  tellLate(cli, cluster, alive(cli, jobs));
  return EXIT.error;
}

function alive({ queue }: QueueCli, jobs: readonly JobRecord[]): JobRecord[] {
  return jobs
    .map(({ cluster, id }) => queue.job(cluster, id).record)
    .filter(({ status }) => !isFinished(status));
}

function tellLate(cli: QueueCli, cluster: string, jobs: readonly JobRecord[]): void {
  const reasons = awayNodes(cli, cluster).map(({ message }) => `\n  ${message}`);
  cli.terminal.note(
    `cq: job ${jobs.map(({ id }) => id).join(', ')} of ${cluster} could not be ended yet; it is, as soon as its node answers${reasons.join('')}`,
  );
}
