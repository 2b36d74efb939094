import { userName } from '../control/home';
import { parseAxis, TaskError, variantsOf, type Axis, type Variant } from '../task';
import { UsageError } from './errors';
import { jobJson } from './json';
import { limitsOf } from './limits';
import { wholeNumber } from './numbers';
import { readTask, type ReadTask } from './readTask';
import { started, told, type RunFlags } from './runJob';
import type { SweepFlags } from './taskOptions';
import { settled, type Cli, type QueueCli } from './withQueue';
import { EXIT } from './exitCodes';

type SweepRun = RunFlags & SweepFlags & { readonly after?: readonly number[] };

/** A task and what of it is to be queued: once, or once for each variant. */
export interface Wanted {
  readonly read: ReadTask;
  readonly variants?: readonly Variant[];
}

/** Reads the task and its variants. @throws CliError, UsageError */
export function readWanted(cli: Cli, words: readonly string[], flags: SweepRun): Wanted {
  const axes = axesOf(flags.sweep);
  const variants = variantsFor(axes, flags);
  // A variable that the file leaves open is given by the sweep.
  const given = axes.map(({ name, values }) => `${name}=${values[0] ?? ''}`);
  const read = readTask(cli, words, { ...flags, env: [...(flags.env ?? []), ...given] });
  const secret = axes.find(({ name }) => name in read.task.secrets);
  if (secret)
    throw new UsageError(
      `--sweep ${secret.name}: it is a secret of the task, and a sweep’s values are shown`,
    );
  return variants === undefined ? { read } : { read, variants };
}

/** Queues a group, and says how to follow it. Resolves to the exit code. */
export async function runSweep(
  cli: QueueCli,
  cluster: string,
  read: ReadTask,
  variants: readonly Variant[],
  flags: SweepRun,
): Promise<number> {
  const { queue, terminal } = cli;
  if (queue.view(cluster)?.nodes.some(({ usage }) => !usage)) await settled(cli, [cluster]);
  const { task, source: _source, ...origin } = read;
  const submitted = queue.submitGroup(task, variants, {
    cluster,
    user: userName(),
    ...origin,
    ...(flags.after === undefined ? {} : { after: flags.after }),
    ...limitsOf(flags),
  });
  const { id } = await told(cli, read, submitted);
  const last = id + variants.length - 1;
  const ids = Array.from({ length: variants.length }, (_, index) => id + index);
  if (flags.json === true) {
    await started(cli, cluster, ids);
    const views = await queue.list(cluster, Number.MAX_SAFE_INTEGER);
    const mine = views.filter(({ record }) => record.group?.id === id).reverse();
    terminal.print(JSON.stringify(mine.map(jobJson)));
    return EXIT.ok;
  }
  terminal.print(variants.length === 1 ? `job ${id}` : `jobs ${id} to ${last}`);
  terminal.note(
    [
      `${variants.length} ${variants.length === 1 ? 'job' : 'jobs'} queued on ${cluster} as group ${id}${flags.detach === true ? '' : '; a group is not followed'}`,
      `  all of them: cq queue ${cluster} · a log: cq logs ${cluster} ${id} · to end all: cq cancel ${cluster} --group ${id}`,
    ].join('\n'),
  );
  await started(cli, cluster, ids);
  return EXIT.ok;
}

function axesOf(sweeps: readonly string[] = []): Axis[] {
  return sweeps.map((text) => usage(`--sweep ${text}`, () => parseAxis(text)));
}

function variantsFor(axes: readonly Axis[], { repeat, sweep }: SweepFlags): Variant[] | undefined {
  if (repeat === undefined && sweep === undefined) return undefined;
  const times = repeat === undefined ? 1 : wholeNumber('--repeat', repeat);
  return usage(sweep === undefined ? `--repeat ${repeat ?? ''}` : '--sweep', () => variantsOf(axes, times));
}

function usage<T>(flag: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TaskError) throw new UsageError(`${flag}: ${error.message}`);
    throw error;
  }
}
