import { Engine } from '../../src/engine';
import { isFinished } from '../../src/queue';
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
  for (;;) {
    const { id } = await engine.submit(taskOf(dice.pick(settings.tasks)), { cluster, user: 'me' });
    report({ accepted: id });
    if (dice.chance(0.1)) {
      const victims = engine.jobs(cluster).filter(({ record }) => !isFinished(record.status));
      if (victims.length > 0) engine.cancel(cluster, [dice.pick(victims).record.id]);
    }
    await pause(dice.whole(0, settings.pauseMs));
  }
}

main(JSON.parse(process.argv[2] ?? '') as HostSettings).catch((error: unknown) => {
  process.send?.({ trouble: String(error) });
  process.exitCode = 1;
});
