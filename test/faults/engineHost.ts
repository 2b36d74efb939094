import { Engine, QueueError, type Reorder } from '../../src/engine';
import { isFinished, type JobRecord } from '../../src/queue';
import { taskOf } from '../support/world';
import { Dice, pause } from './scale';

/** What a host that is going to be killed is told. */
export interface HostSettings {
  readonly home: string;
  readonly sshConfigFile: string;
  readonly cluster: string;
  /** Task files to choose from. */
  readonly tasks: readonly string[];
  readonly seed: number;
  /** Longest pause between two submits. */
  readonly pauseMs: number;
  /** Leaves finished jobs at hand instead of archiving all but a few. */
  readonly keep?: boolean;
  /** Cancels, holds, lets go, moves and drains besides, and lets no more than so many jobs wait. */
  readonly meddle?: number;
}

/** What it reports: a job is accepted when `submit` says so and not before. */
export type HostReport =
  { readonly opened: true } | { readonly accepted: number } | { readonly trouble: string };

/** Hosts an engine that submits, now and then cancels, and mirrors every log, until it is killed. */
async function main(settings: HostSettings): Promise<void> {
  const { cluster } = settings;
  const dice = new Dice(settings.seed);
  const report = (what: HostReport): void => void process.send?.(what);
  const engine = await Engine.open({
    home: settings.home,
    sshConfigFile: settings.sshConfigFile,
    graceS: 1,
    history: { maxAgeDays: 90, maxJobs: settings.keep === true ? 10_000 : 20, daysOnNodes: 14 },
    localEnv: { HOME: settings.home },
  });
  engine.onTrouble((error) => report({ trouble: error.message }));
  const followed = new Set<number>();
  engine.onDidChange(({ jobs }) => {
    for (const { id, placement } of jobs) {
      if (!placement || followed.has(id)) continue;
      followed.add(id);
      engine.log(cluster, id);
    }
  });
  report({ opened: true });
  const archive = async (): Promise<void> => {
    for (;;) {
      await engine.archive();
      await pause(dice.whole(0, 300));
    }
  };
  void archive();
  for (;;) {
    if (settings.meddle !== undefined) {
      await meddle(engine, cluster, dice);
      await pause(dice.whole(0, settings.pauseMs));
      if (waiting(engine, cluster).length >= settings.meddle) continue;
    }
    const { id } = await engine.submit(taskOf(dice.pick(settings.tasks)), { cluster, user: 'me' });
    report({ accepted: id });
    if (dice.chance(0.1)) {
      const victims = engine.jobs(cluster).filter(({ record }) => !isFinished(record.status));
      if (victims.length > 0) void engine.cancel(cluster, [dice.pick(victims).record.id]);
    }
    await pause(dice.whole(0, settings.pauseMs));
  }
}

function waiting(engine: Engine, cluster: string): JobRecord[] {
  return engine
    .jobs(cluster, 10_000)
    .map(({ record }) => record)
    .filter(({ status }) => status === 'PENDING');
}

/** Does to a random waiting job, or to a node, what its user may. */
async function meddle(engine: Engine, cluster: string, dice: Dice): Promise<void> {
  const jobs = waiting(engine, cluster);
  const { nodes } = engine.definition(cluster);
  const node = dice.pick(nodes);
  if (dice.chance(0.1)) {
    const { name } = node;
    await engine.changeNodes(cluster, node.draining === true ? { undrain: [name] } : { drain: [name] });
    return;
  }
  if (jobs.length === 0) return;
  const { id, held } = dice.pick(jobs);
  const change = dice.pick<Reorder>([
    { held: held !== true },
    { held: false },
    { move: 'first' },
    { move: 'up' },
    { move: dice.pick(jobs).id },
    { priority: dice.whole(-2, 2) },
  ]);
  // It may have started just now.
  await engine.reorder(cluster, id, change).catch((error: unknown) => {
    if (!(error instanceof QueueError)) throw error;
  });
}

main(JSON.parse(process.argv[2] ?? '') as HostSettings).catch((error: unknown) => {
  process.send?.({ trouble: String(error) });
  process.exitCode = 1;
});
