import { staleMountsOf, staleWords } from '../control';
import type { ReadTask } from './readTask';
import type { MountFlags } from './taskOptions';
import { settled, type QueueCli } from './withQueue';

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
}
