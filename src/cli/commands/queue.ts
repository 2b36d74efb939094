import { Option, type Command } from 'commander';
import type { JobView } from '../../engine';
import { isFinished, renderQueue } from '../../queue';
import { EXIT } from '../exitCodes';
import { jobJson } from '../json';
import { outputOption, wantsJson, type OutputFlags } from '../output';
import { toneOf } from '../terminal';
import { caughtUp, known, withQueue, type Cli, type QueueCli } from '../withQueue';

interface QueueFlags {
  readonly skipFinished?: boolean;
  readonly wide?: boolean;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly archived?: boolean;
}

const ALL = Number.MAX_SAFE_INTEGER;
// A person cannot read faster, and ages in the table go on by the second.
const REDRAW_MS = 100;
const AGE_MS = 1000;

/** `cq queue`: shows the jobs of clusters. */
export function addQueue(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('queue')
    .description('show the jobs of clusters (of all, unless some are named), newest first')
    .argument('[clusters...]')
    .option('-s, --skip-finished', 'only jobs that wait or run')
    .option(
      '--wide',
      'also DURATION, RESOURCES, NODES with their devices, and the REASON why a job waits, or why it failed',
    )
    .addOption(
      new Option('--archived', 'the jobs that were archived for their age or number').conflicts([
        'watch',
        'skipFinished',
      ]),
    )
    .option('--json', 'print {CLUSTER: [JOB, …]} (-o json too)')
    .addOption(outputOption())
    .addOption(new Option('-u, --all-users').hideHelp())
    .option('--watch', 'show every change, until Ctrl-C')
    .action(async (names: string[], given: QueueFlags & OutputFlags) => {
      const flags = { ...given, json: wantsJson(given) };
      end(
        await withQueue(cli, async (open) => {
          for (const name of names) known(open, name);
          await caughtUp(open, clustersOf(open, names));
          if (flags.watch === true) return watch(open, names, flags);
          open.terminal.print(await render(open, names, flags));
          return EXIT.ok;
        }),
      );
    });
}

function clustersOf({ queue }: QueueCli, names: readonly string[]): readonly string[] {
  return names.length > 0 ? names : queue.views().map(({ name }) => name);
}

async function render(cli: QueueCli, names: readonly string[], flags: QueueFlags): Promise<string> {
  const clusters = clustersOf(cli, names);
  const lists = await Promise.all(
    clusters.map(async (name): Promise<[string, JobView[]]> => {
      const { queue } = cli;
      const views = await (flags.archived === true ? queue.archived(name, ALL) : queue.list(name, ALL));
      const shown =
        flags.skipFinished === true ? views.filter(({ record }) => !isFinished(record.status)) : views;
      return [name, shown];
    }),
  );
  if (flags.json === true)
    return JSON.stringify(Object.fromEntries(lists.map(([name, views]) => [name, views.map(jobJson)])));
  return lists
    .map(([name, views]) => {
      const text = [table(cli, views, flags), ...archivedNote(cli, name, flags)].join('\n');
      return names.length === 1 ? text : `${cli.terminal.paint(`cluster ${name}`, 'head')}\n${text}`;
    })
    .join('\n\n');
}

function archivedNote({ queue, terminal }: QueueCli, name: string, flags: QueueFlags): string[] {
  const { archived } = queue.view(name) ?? {};
  if (archived === undefined || flags.archived === true || flags.skipFinished === true) return [];
  const jobs = archived === 1 ? '1 older job is' : `${archived} older jobs are`;
  return [terminal.paint(`${jobs} archived: cq queue --archived ${name}`, 'dim')];
}

function table({ terminal }: QueueCli, views: readonly JobView[], flags: QueueFlags): string {
  const reasons = new Map(views.map(({ record, reason }) => [record.uuid, reason?.text]));
  return renderQueue(
    views.map(({ record }) => record),
    Date.now(),
    {
      wide: flags.wide === true,
      reason: ({ uuid }) => reasons.get(uuid),
      colour: (text, cell) => terminal.paint(text, cell.kind === 'header' ? 'head' : toneOf(cell.status)),
    },
  );
}

async function watch(cli: QueueCli, names: readonly string[], flags: QueueFlags): Promise<number> {
  const { queue, signal, terminal } = cli;
  let shown = '';
  let changed = true;
  const unsubscribe = queue.onDidChange(() => (changed = true));
  const ageing = setInterval(() => (changed ||= terminal.isTty), AGE_MS);
  try {
    while (!signal.aborted) {
      if (changed) {
        changed = false;
        const text = await render(cli, names, flags);
        if (text !== shown) show(cli, text, shown !== '' && flags.json !== true);
        shown = text;
      }
      await pause(REDRAW_MS, signal);
    }
  } finally {
    clearInterval(ageing);
    unsubscribe();
  }
  return EXIT.ok;
}

function show({ terminal }: QueueCli, text: string, again: boolean): void {
  terminal.clear();
  terminal.print(again && !terminal.isTty ? `\n${text}` : text);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
