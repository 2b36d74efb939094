import type { Command } from 'commander';
import { isFinished } from '../../queue';
import { agreed } from '../agreed';
import { waitForEnds } from '../cancelJobs';
import { EXIT } from '../exitCodes';
import { known, LOCAL, settled, withQueue, type Cli, type QueueCli } from '../withQueue';

/** `cq down`: takes a cluster down, as Take Cluster Down… does. */
export function addDown(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('down')
    .description(
      'take a cluster down: end its jobs, remove what its agent left on the machines, and take it off the list',
    )
    .argument('<cluster>')
    .option('-y, --yes', 'do not ask')
    .action(async (cluster: string, flags: { yes?: boolean }) => {
      end(
        await withQueue(cli, async (open) => {
          known(open, cluster);
          const { pending = 0, running = 0 } = open.queue.view(cluster) ?? {};
          const jobs =
            pending + running === 0
              ? ''
              : ` and cancel its ${pending + running === 1 ? 'job' : `${pending + running} jobs`}`;
          if (!(await agreed(cli, `Take cluster ${cluster} down${jobs}?`, flags))) return EXIT.error;
          return takeDown(open, cluster);
        }),
      );
    });
}

async function takeDown(cli: QueueCli, cluster: string): Promise<number> {
  const { queue, terminal } = cli;
  const cancelled = await queue.cancel(cluster, 'all');
  const alive = cancelled.filter(({ id }) => !isFinished(queue.job(cluster, id).record.status));
  if (alive.length > 0) {
    await settled(cli, [cluster]);
    const code = await waitForEnds(cli, cluster, alive);
    if (code !== EXIT.ok) return code;
  }
  // What its agent left there goes with it, where there is a connection.
  await settled(cli, [cluster]);
  const away = (queue.view(cluster)?.nodes ?? []).filter(({ link }) => link.state !== 'up');
  await queue.removeCluster(cluster);
  terminal.print(
    cluster === LOCAL
      ? `no job of ${cluster} waits or runs any more; the cluster itself, this machine, stays`
      : `cluster ${cluster} was taken down`,
  );
  if (away.length > 0)
    terminal.note(
      `could not be reached, and keep what is in ~/.cluster-queue: ${away.map(({ name }) => name).join(', ')}`,
    );
  return EXIT.ok;
}
