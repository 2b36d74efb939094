import { Option, type Command } from 'commander';
import { jobId } from '../numbers';
import { readTask, withTaskOptions } from '../readTask';
import { runJob, type RunFlags } from '../runJob';
import { known, withQueue, type Cli } from '../withQueue';

interface ExecFlags extends RunFlags {
  readonly after?: readonly number[];
}

const jobIds = (text: string): readonly number[] => text.split(',').map((word) => jobId(word.trim()));

/** `cq exec`: queues a task, or a command, on a cluster. */
export function addExec(program: Command, cli: Cli, end: (code: number) => void): void {
  withTaskOptions(program.command('exec'))
    .description('queue a task file, or a command, on a cluster, and follow its log')
    .usage('CLUSTER FILE [options]\n       cq exec CLUSTER [options] -- COMMAND…')
    .argument('<cluster>')
    .argument('[file...]')
    .addOption(
      new Option('--after <job_ids>', 'start when these jobs have succeeded; with commas between').argParser(
        jobIds,
      ),
    )
    .option('-d, --detach', 'do not follow the log')
    .option('--json', 'print the job as JSON: at its end, or with -d at once')
    .addHelpText('after', EXIT_HELP)
    .action(async (cluster: string, words: string[], flags: ExecFlags) => {
      // A mistake in the file is said before anything is opened or connected.
      const task = readTask(cli, words, flags);
      end(await withQueue(cli, (open) => runJob(open, known(open, cluster), task, flags)));
    });
}

/** What the exit codes of a followed job mean. */
export const EXIT_HELP = `
Exit code: that of the job as a whole: 0 succeeded, 100 failed, 101 not finished (Ctrl-C), 102 not found,
103 cancelled. With -d, 0 when it is queued.`;
