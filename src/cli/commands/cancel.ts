import type { Command } from 'commander';
import { agreed } from '../agreed';
import { cancelJobs } from '../cancelJobs';
import { UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { jobId } from '../numbers';
import { caughtUp, known, withQueue, type Cli } from '../withQueue';

interface CancelFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
}

/** `cq cancel`: ends jobs, with all their processes. */
export function addCancel(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('cancel')
    .description('end jobs, with all their processes; those that wait never start')
    .usage('CLUSTER JOB_ID… | --all [-y]')
    .argument('<cluster>')
    .argument('[job_ids...]')
    .option('-a, --all', 'every job that waits or runs on the cluster')
    .option('-y, --yes', 'do not ask')
    .action(async (cluster: string, words: string[], flags: CancelFlags) => {
      const all = flags.all === true;
      if (all === words.length > 0)
        throw new UsageError(all ? 'name jobs or say --all, not both' : 'name the jobs, or say --all');
      const ids = all ? 'all' : words.map(jobId);
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
