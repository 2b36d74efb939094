import { userName } from '../../control/home';
import { Option, type Command } from 'commander';
import type { JobRecord } from '../../queue';
import { agreed } from '../agreed';
import { cancelJobs } from '../cancelJobs';
import { UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { jobId } from '../numbers';
import { caughtUp, known, withQueue, type Cli, type QueueCli } from '../withQueue';

interface CancelFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly group?: number;
}

/** `cq cancel`: ends jobs, with all their processes. */
export function addCancel(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('cancel')
    .description(
      'end jobs (the latest of yours that runs, unless some are named), with all their processes; those that wait never start',
    )
    .usage('CLUSTER [JOB_ID… | --group JOB_ID | --all] [-y]')
    .argument('<cluster>')
    .argument('[job_ids...]')
    .option('-a, --all', 'every job that waits or runs on the cluster (-u, --all-users too)')
    .addOption(new Option('-u, --all-users').implies({ all: true }).hideHelp())
    .addOption(
      new Option('--group <job_id>', 'all jobs that were submitted together with that one').argParser(jobId),
    )
    .option('-y, --yes', 'do not ask')
    .action(async (cluster: string, words: string[], flags: CancelFlags) => {
      const all = flags.all === true;
      const { group } = flags;
      const ways = [all, group !== undefined, words.length > 0].filter(Boolean).length;
      if (ways > 1) throw new UsageError('name jobs, or say --all, or --group: one of them, not both');
      if (ways === 0 && flags.yes !== true && !cli.terminal.canAsk)
        throw new UsageError(
          'name the jobs, or say --all or --group; to cancel the latest that runs, which nobody can be asked about here, say -y',
        );
      const ids = all ? 'all' : group === undefined ? words.map(jobId) : { group };
      end(
        await withQueue(cli, async (open) => {
          known(open, cluster);
          await caughtUp(open, [cluster]);
          // Whoever names jobs has said which; only a sweep is asked about.
          if (all && !(await agreed(cli, `Cancel all jobs on ${cluster}?`, flags))) return EXIT.error;
          return ways === 0 ? cancelLatest(open, cluster, flags) : cancelJobs(open, cluster, ids);
        }),
      );
    });
}

/** Cancels the newest of the user's jobs that run, when the user agrees. */
async function cancelLatest(cli: QueueCli, cluster: string, flags: CancelFlags): Promise<number> {
  const latest = await latestRunning(cli, cluster);
  if (!latest) {
    cli.terminal.note(`no job of yours runs on ${cluster}; those that wait: cq queue ${cluster} -s`);
    return EXIT.ok;
  }
  const { id, name } = latest;
  const question = `Cancel job ${id} (${name}), the latest that runs on ${cluster}?`;
  return (await agreed(cli, question, flags)) ? cancelJobs(cli, cluster, [id]) : EXIT.error;
}

async function latestRunning({ queue }: QueueCli, cluster: string): Promise<JobRecord | undefined> {
  const views = await queue.list(cluster, Number.MAX_SAFE_INTEGER);
  return views
    .map(({ record }) => record)
    .filter(({ status, cancelling, user }) => status === 'RUNNING' && !cancelling && user === userName())
    .sort((a, b) => b.id - a.id)[0];
}
