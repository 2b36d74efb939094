import { World } from '../test/support/world';
import { fillHistory } from './history';

/** The cluster of `manyJobs`. */
export const CLUSTER = 'lab';

/**
 * A world, its engine closed, with a cluster of one node of 8 GPUs and that many jobs: one runs on all of them, the newest
 * wait, staged there, and the others have ended.
 */
export async function manyJobs(jobs: number, waiting: number): Promise<World> {
  const world = new World();
  try {
    await world.nodes.add('node');
    const nodes = [{ name: 'node', destination: 'node', virtual: { name: 'V100', count: 8 } }];
    await fillHistory(world.home, jobs - waiting - 1, { name: CLUSTER, nodes });
    const engine = await world.open();
    engine.connect(CLUSTER);
    await world.submit(CLUSTER, task('blocker', 8, 'sleep 7200'));
    await Promise.all(
      Array.from({ length: waiting }, (_, index) =>
        world.submit(CLUSTER, task(`train-${index % 50}`, 1, 'python train.py')),
      ),
    );
    const isReady = (): boolean => {
      const view = engine.view(CLUSTER);
      return view?.staged === waiting && view.running === 1;
    };
    await world.until(isReady, 'all wait on the node', 300_000);
    await world.shut();
    return world;
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** Ends its jobs in order before the node goes: after one that is killed the next would start. */
export async function endJobs(world: World): Promise<void> {
  try {
    const engine = await world.open();
    engine.connect(CLUSTER);
    await world.until(() => engine.view(CLUSTER)?.nodes[0]?.link.state === 'up', 'the node is up');
    await engine.cancel(CLUSTER, 'all');
    await world.until(() => !engine.busy, 'all are cancelled', 300_000);
  } finally {
    await world.close();
  }
}

function task(name: string, gpus: number, run: string): string {
  return `name: ${name}\nresources:\n  accelerators: V100:${gpus}\nrun: ${run}\n`;
}
