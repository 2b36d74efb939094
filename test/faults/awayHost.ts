import { Engine } from '../../src/engine';
import type { JobRecord } from '../../src/queue';
import { taskOf } from '../support/world';

/** A job for a host that goes away. */
export interface AwayJob {
  readonly yaml: string;
  /** Places in the list (from 0) of those it comes after. */
  readonly after?: readonly number[];
  readonly timeoutS?: number;
  readonly retries?: number;
}

export interface AwaySettings {
  readonly home: string;
  readonly sshConfigFile: string;
  readonly cluster: string;
  readonly jobs: readonly AwayJob[];
  /** How many of them, the first ones, run when all others are staged. */
  readonly running: number;
}

/** What it reports: at last, once, all records as they stand when nothing is left to stage. */
export type AwayReport = { readonly staged: readonly JobRecord[] } | { readonly trouble: string };

/** Hosts an engine that submits jobs, when its nodes are up, and waits until each lies on its node; it is there to be killed then. */
async function main({ home, sshConfigFile, cluster, jobs, running }: AwaySettings): Promise<void> {
  const report = (what: AwayReport): void => void process.send?.(what);
  const engine = await Engine.open({ home, sshConfigFile, graceS: 1, localEnv: { HOME: home } });
  engine.onTrouble((error) => report({ trouble: error.message }));
  engine.connect(cluster);
  // A job that is submitted before goes to those that are up by then.
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (engine.view(cluster)?.nodes.every(({ link }) => link.state === 'up') === true) resolve();
    };
    engine.onDidChange(look);
    look();
  });
  const ids: number[] = [];
  for (const { yaml, after = [], timeoutS, retries } of jobs) {
    const { id } = await engine.submit(taskOf(yaml), {
      cluster,
      user: 'me',
      after: after.map((place) => ids[place] ?? 0),
      ...(timeoutS === undefined ? {} : { timeoutS }),
      ...(retries === undefined ? {} : { retries }),
    });
    ids.push(id);
  }
  let told = false;
  const look = (): void => {
    const view = engine.view(cluster);
    if (told || view?.staged !== jobs.length - running || view.running !== running) return;
    told = true;
    report({ staged: engine.jobs(cluster, jobs.length).map(({ record }) => record) });
  };
  engine.onDidChange(look);
  look();
}

main(JSON.parse(process.argv[2] ?? '') as AwaySettings).catch((error: unknown) => {
  process.send?.({ trouble: String(error) });
  process.exitCode = 1;
});
