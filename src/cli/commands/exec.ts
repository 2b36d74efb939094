import { Option, type Command } from 'commander';
import { UsageError } from '../errors';
import { jobId } from '../numbers';
import { runJob, type RunFlags } from '../runJob';
import {
  withLimitOptions,
  withMountOptions,
  withSweepOptions,
  withTaskOptions,
  type MountFlags,
  type SweepFlags,
} from '../taskOptions';
import { known, withQueue, type Cli } from '../withQueue';

interface ExecFlags extends RunFlags, SweepFlags, MountFlags {
  readonly after?: readonly number[];
  readonly cluster?: string;
}

const jobIds = (text: string): readonly number[] => text.split(',').map((word) => jobId(word.trim()));

/** `cq exec`: queues a task, or a command, on a cluster. */
export function addExec(program: Command, cli: Cli, end: (code: number) => void): void {
  withMountOptions(withSweepOptions(withLimitOptions(withTaskOptions(program.command('exec')))))
    .description('queue a task file, or a command, on a cluster, and follow its log')
    .usage('CLUSTER FILE [options]\n       cq exec CLUSTER [options] -- COMMAND…')
    .argument('[cluster]')
    .argument('[file...]')
    .addOption(
      new Option('--after <job_ids>', 'start when these jobs have succeeded; with commas between').argParser(
        jobIds,
      ),
    )
    .addOption(new Option('-c, --cluster <name>').hideHelp())
    .option('-d, --detach', 'do not follow the log (--detach-run too)')
    .addOption(new Option('--detach-run').implies({ detach: true }).hideHelp())
    .option('--json', 'print the job as JSON: at its end, or with -d at once')
    .addHelpText(
      'after',
      `\nWords that name no task file are a command, as with sky exec; put -- before one\nthat has options of its own.\n${EXIT_HELP} With -d, --repeat or --sweep, 0\nwhen it is queued.`,
    )
    .action(async (first: string | undefined, more: string[], flags: ExecFlags) => {
      // With -c, as sky has it too, all words are the task.
      const words = flags.cluster === undefined || first === undefined ? more : [first, ...more];
      const cluster = flags.cluster ?? first;
      if (cluster === undefined) throw new UsageError('name the cluster: cq exec CLUSTER FILE');
      const [{ limitsOf }, { readWanted, runSweep }] = await Promise.all([
        import('../limits'),
        import('../sweep'),
      ]);
      if (words.length === 0 && cli.command === undefined && /\.ya?ml$/i.test(cluster))
        throw new UsageError(`name the cluster before the file: cq exec CLUSTER ${cluster}`);
      // A mistake in the file is said before anything is opened or connected.
      limitsOf(flags);
      const { read, variants } = readWanted(cli, words, flags);
      end(
        await withQueue(cli, async (open) => {
          const { tendMounts } = await import('../mounts');
          await tendMounts(open, known(open, cluster), read, flags);
          return variants === undefined
            ? runJob(open, cluster, read, flags)
            : runSweep(open, cluster, read, variants, flags);
        }),
      );
    });
}

/** What the exit codes of a followed job mean. */
export const EXIT_HELP = `
Exit code: that of the job as a whole: 0 succeeded, 100 failed, 101 not finished
(Ctrl-C), 102 not found, 103 cancelled.`;
