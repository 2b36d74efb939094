import path from 'node:path';
import { Option, type Command } from 'commander';
import type { JobView } from '../../engine';
import type { JobRecord } from '../../queue';
import { CliError, UsageError } from '../errors';
import { EXIT, exitCodeOf } from '../exitCodes';
import { assertFolder } from '../folders';
import { jobId, wholeNumber } from '../numbers';
import { endWords, follow } from '../runJob';
import { gatherLog, printLogFile, streamLog } from '../streamLog';
import { toneOf } from '../terminal';
import { caughtUp, known, withQueue, type Cli, type QueueCli } from '../withQueue';
import { EXIT_HELP } from './exec';

interface LogsFlags {
  readonly follow: boolean;
  readonly tail?: string;
  readonly status?: boolean;
  readonly syncDown?: string;
}

/** `cq logs`: a job's log, to its end. */
export function addLogs(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('logs')
    .description('follow the log of a job (of the newest, unless one is named)')
    .argument('<cluster>')
    .argument('[job_ids...]', 'one; several with --sync-down')
    .option('--no-follow', 'print what is there, and end')
    .addOption(new Option('--follow').hideHelp())
    .option('--tail <n>', 'begin with the last N lines; 0: all')
    .option('--status', 'print the job’s status only')
    .addOption(new Option('--sync-down <dir>', 'copy the whole log into a folder').conflicts('status'))
    .addHelpText('after', EXIT_HELP)
    .action(async (cluster: string, words: string[], flags: LogsFlags) => {
      const ids = [...new Set(words.map(jobId))];
      if (ids.length > 1 && flags.syncDown === undefined)
        throw new UsageError(
          `jobs ${ids.join(', ')}: one log is shown at a time; name one of them, or copy all with --sync-down DIR`,
        );
      const tail = flags.tail === undefined ? 0 : wholeNumber('--tail', flags.tail);
      end(
        await withQueue(cli, async (open) => {
          known(open, cluster);
          await caughtUp(open, [cluster]);
          const wanted = ids.length === 0 ? [undefined] : ids;
          const views = await Promise.all(wanted.map((id) => find(open, cluster, id)));
          const codes: number[] = [];
          for (const view of views) codes.push(await show(open, view, flags, tail));
          return codes.find((code) => code !== EXIT.ok) ?? EXIT.ok;
        }),
      );
    });
}

async function find({ queue }: QueueCli, cluster: string, id: number | undefined): Promise<JobView> {
  const [newest] = id === undefined ? await queue.list(cluster, 1) : [];
  if (newest) return newest;
  if (id === undefined) throw new CliError(`${cluster} has no job yet`, EXIT.notFound);
  const { QueueError } = await import('../../engine');
  try {
    return await queue.find(cluster, id);
  } catch (error) {
    if (error instanceof QueueError && error.code === 'no-job')
      throw new CliError(`${error.message} (see cq queue ${cluster})`, EXIT.notFound);
    throw error;
  }
}

async function show(
  cli: QueueCli,
  { record, archived }: JobView,
  flags: LogsFlags,
  tail: number,
): Promise<number> {
  const { terminal, queue } = cli;
  const { cluster, id, status } = record;
  if (flags.status === true) {
    terminal.print(`Job ${id}: ${terminal.paint(status, toneOf(status))}`);
    return exitCodeOf(status);
  }
  if (flags.syncDown !== undefined) {
    const file = path.resolve(flags.syncDown, path.basename(queue.logFile(record)));
    const mirrored = archived ? queue.logFile(record) : await gatherLog(cli, cluster, id);
    assertFolder(path.dirname(file), '--sync-down');
    const { copyLog, makeFolder } = await import('../../engine');
    await makeFolder(path.dirname(file)).catch((error: unknown) => {
      throw new CliError(
        `${path.dirname(file)} cannot be made (${words(error)}): name another one with --sync-down`,
      );
    });
    await copyLog(mirrored, file).catch((error: unknown) => {
      throw archived ? noArchivedLog(record) : new CliError(`job ${id} has no log yet (${words(error)})`);
    });
    terminal.print(file);
    return exitCodeOf(status);
  }
  if (archived) {
    if (!(await printLogFile(cli, queue.logFile(record), tail))) throw noArchivedLog(record);
    if (flags.follow) terminal.note(endWords(cli, record));
    return exitCodeOf(status);
  }
  if (flags.follow) return follow(cli, record, tail);
  await streamLog(cli, cluster, id, { follow: false, tail });
  return exitCodeOf((await queue.find(cluster, id)).record.status);
}

function noArchivedLog({ id, cluster }: JobRecord): CliError {
  return new CliError(
    `job ${id} of ${cluster} is archived without its log, which was never brought from its node`,
  );
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : '';
}
