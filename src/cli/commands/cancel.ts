import { Option, type Command } from 'commander';
import { agreed } from '../agreed';
import { cancelJobs } from '../cancelJobs';
import { UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { jobId } from '../numbers';
import { caughtUp, known, withQueue, type Cli } from '../withQueue';

interface CancelFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly group?: number;
}

/** `cq cancel`: ends jobs, with all their processes. */
export function addCancel(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('cancel')
    .description('end jobs, with all their processes; those that wait never start')
    .usage('CLUSTER JOB_ID… | --group JOB_ID | --all [-y]')
    .argument('<cluster>')
    .argument('[job_ids...]')
    .option('-a, --all', 'every job that waits or runs on the cluster')
    .addOption(
      new Option('--group <job_id>', 'all jobs that were submitted together with that one').argParser(jobId),
    )
    .option('-y, --yes', 'do not ask')
    .action(async (cluster: string, words: string[], flags: CancelFlags) => {
      const all = flags.all === true;
      const { group } = flags;
      const ways = [all, group !== undefined, words.length > 0].filter(Boolean).length;
      if (ways > 1) throw new UsageError('name jobs, or say --all, or --group: one of them, not both');
      if (ways === 0) throw new UsageError('name the jobs, or say --all or --group');
      const ids = all ? 'all' : group === undefined ? words.map(jobId) : { group };
      end(
        await withQueue(cli, async (open) => {
          known(open, cluster);
          await caughtUp(open, [cluster]);
          // Whoever names jobs has said which; only a sweep is asked about.
          if (all && !(await agreed(cli, `Cancel all jobs on ${cluster}?`, flags))) return EXIT.error;
          return cancelJobs(open, cluster, ids);
        }),
      );
    });
}
