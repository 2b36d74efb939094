import { Option, type Command } from 'commander';
import type { JobView, Reorder } from '../../engine';
import { CliError, UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { jobId, priorityOf } from '../numbers';
import { started } from '../runJob';
import { known, settled, withQueue, type Cli, type QueueCli } from '../withQueue';

interface MoveFlags {
  readonly first?: boolean;
  readonly up?: boolean;
  readonly before?: number;
  readonly priority?: string;
}

/** `cq hold`, `cq release` and `cq move`: the order in which waiting jobs start. */
export function addOrder(program: Command, cli: Cli, end: (code: number) => void): void {
  const reorder = async (
    done: string,
    cluster: string,
    words: readonly string[],
    change: Reorder,
    group?: number,
  ): Promise<void> => {
    if (group !== undefined && words.length > 0) throw new UsageError('name jobs or say --group, not both');
    if (group === undefined && words.length === 0) throw new UsageError('name the jobs, or say --group');
    const ids = group === undefined ? words.map(jobId) : [{ group }];
    end(
      await withQueue(cli, async (open) => {
        known(open, cluster);
        // All or none.
        for (const id of ids) if (typeof id === 'number') assertWaits(await open.queue.find(cluster, id));
        // What is staged may start on its node by itself: that has to hear of it before this process goes.
        if (open.queue.role === 'host') await settled(open, [cluster]);
        for (const id of ids) await open.queue.reorder(cluster, id, change);
        const single = ids.filter((id) => typeof id === 'number');
        if (change.held === false) await started(open, cluster, single);
        const which = ids.map((id) =>
          typeof id === 'number' ? `job ${id}` : `the group of job ${id.group}, as far as it waits`,
        );
        open.terminal.print(`${done} on ${cluster}: ${which.join(', ')}`);
        return change.held === true ? tellUnreached(open, cluster, single) : EXIT.ok;
      }),
    );
  };
  for (const [name, held, done, description] of [
    ['hold', true, 'held', 'keep waiting jobs from starting'],
    ['release', false, 'released', 'let held jobs start again'],
  ] as const) {
    program
      .command(name)
      .description(description)
      .argument('<cluster>')
      .argument('[job_ids...]')
      .addOption(
        new Option('--group <job_id>', 'all that wait of those submitted together with that one').argParser(
          jobId,
        ),
      )
      .action((cluster: string, words: string[], flags: { group?: number }) =>
        reorder(done, cluster, words, { held }, flags.group),
      );
  }
  program
    .command('move')
    .description('change the place of a waiting job in the queue')
    .argument('<cluster>')
    .argument('<job_id>')
    .option('--first', 'before all others')
    .option('--up', 'one place earlier')
    .addOption(new Option('--before <job_id>', 'just before another job').argParser(jobId))
    .option('--priority <n>', 'from -1000 to 1000; higher starts first')
    .action((cluster: string, word: string, flags: MoveFlags) => {
      if (flags.before === jobId(word)) throw new UsageError(`job ${word} cannot go before itself`);
      return reorder('moved', cluster, [word], changeOf(flags));
    });
}

function assertWaits({ record: { id, status } }: JobView): void {
  if (status !== 'PENDING') throw new CliError(`job ${id} does not wait any more (${status})`);
}

/** Says which of held jobs may start all the same, because their nodes have not heard of it. */
function tellUnreached({ queue, terminal }: QueueCli, cluster: string, ids: readonly number[]): number {
  const left = ids.map((id) => queue.job(cluster, id).record).filter(({ staged }) => staged !== undefined);
  for (const { id, staged } of left)
    terminal.note(
      `cq: job ${id} is staged on ${(staged?.nodes ?? []).join(', ')}, which cannot be reached, and may start there until it answers`,
    );
  return left.length > 0 ? EXIT.error : EXIT.ok;
}

function changeOf({ first, up, before, priority }: MoveFlags): Reorder {
  const moves: Reorder[] = [
    ...(first === true ? [{ move: 'first' as const }] : []),
    ...(up === true ? [{ move: 'up' as const }] : []),
    ...(before === undefined ? [] : [{ move: before }]),
    ...(priority === undefined ? [] : [{ priority: priorityOf(priority) }]),
  ];
  const [change, second] = moves;
  if (!change || second) throw new UsageError('say where: one of --first, --up, --before and --priority');
  return change;
}
