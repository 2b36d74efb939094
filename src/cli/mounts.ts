import { staleMountsOf, staleWords } from '../control';
import type { StaleMount } from '../engine';
import { CliError } from './errors';
import type { ReadTask } from './readTask';
import type { MountFlags } from './taskOptions';
import { awayNodes, settled, type QueueCli } from './withQueue';

/** Says which `file_mounts` are not on the nodes as they are now; with `--sync-mounts` places those first. */
export async function tendMounts(
  cli: QueueCli,
  cluster: string,
  read: ReadTask,
  { syncMounts }: MountFlags,
): Promise<void> {
  const stale = await staleMountsOf(cli.queue, cluster, read.task, read);
  if (stale.length === 0) return;
  const words = `file_mounts: ${staleWords(stale)}`;
  if (syncMounts !== true) {
    cli.terminal.note(`${words}; to place that first, say --sync-mounts`);
    return;
  }
  cli.terminal.note(words);
  await settled(cli, [cluster]);
  for (const { source, destination } of stale) {
    cli.terminal.note(`placing ${destination}`);
    await cli.queue.mount(cluster, { source, destination }, { missing: true });
  }
  tellMissed(cli, cluster, await staleMountsOf(cli.queue, cluster, read.task, read));
}

/** Says what was not placed on nodes that cannot be reached. @throws CliError when that is all of them */
function tellMissed(cli: QueueCli, cluster: string, missed: readonly StaleMount[]): void {
  const count = cli.queue.definition(cluster).nodes.length;
  const away = awayNodes(cli, cluster);
  for (const { destination, nodes: names } of missed) {
    const why = away.filter(({ name }) => names.includes(name)).map(({ message }) => message);
    const words = `${destination} was not placed on ${names.join(', ')}${why.length > 0 ? `: ${why.join('; ')}` : ''}`;
    if (names.length === count) throw new CliError(`${words}. Nothing was queued`);
    cli.terminal.note(
      `${words}. A job that starts there finds it as it was; to keep jobs from there: cq drain ${cluster} ${names.join(' ')}`,
    );
  }
}
