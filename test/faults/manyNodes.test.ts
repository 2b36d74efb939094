import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TestNode } from '../support/sshd';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';
import { long, times } from './scale';

describe('very many nodes at once', function () {
  if (!haveSshd) return;
  this.timeout(long ? 600_000 : 120_000);
  const world = new World();
  after(() => world.close());

  it('are all connected to, each runs a job, a gang has them all, and nothing is left on any', async () => {
    const count = times('NODES', 8, 50);
    const nodes: TestNode[] = [];
    const gpus = { name: 'Tesla V100-SXM2-16GB', count: 1 };
    for (let n = 0; n < count; n++) nodes.push(await world.nodes.add(`n${n}`, { gpus }));
    await world.open();
    const start = performance.now();
    const names = nodes.map(({ name }) => name);
    await world.engine.addCluster({
      name: 'c',
      nodes: names.map((name) => ({ name, destination: name })),
    });
    world.engine.connect('c');
    await world.until(
      () => world.engine.view('c')?.nodes.every(({ link }) => link.state === 'up') === true,
      'all are up',
      120_000,
    );
    const connected = performance.now();
    const task = 'resources: {accelerators: V100}\nrun: echo "on $CLUSTER_QUEUE_NODE_ID"\n';
    const jobs = await Promise.all(names.map(() => world.submit('c', task)));
    const gang = await world.submit('c', `num_nodes: ${count}\n${task}`);
    for (const { id } of [...jobs, gang]) {
      assert.equal((await world.ended('c', id, 120_000)).status, 'SUCCEEDED');
    }
    const ran = performance.now();
    const log = await world.log('c', gang.id);
    const seen = [...log.matchAll(/on (n\d+)$/gm)].map(([, name]) => name);
    assert.deepEqual(seen.sort(), [...names].sort(), 'one rank on each node');
    const memory = Math.round(process.memoryUsage().rss / 1024 / 1024);
    await world.engine.removeCluster('c');
    const gone = (): boolean => nodes.every(({ home }) => !existsSync(path.join(home, '.cluster-queue')));
    // The sessions' own ends are the last to go, and nobody waits for them.
    while (!gone()) await new Promise((resolve) => setTimeout(resolve, 50));
    const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(1);
    console.log(
      `      ${count} nodes up in ${seconds(start, connected)} s, ${count + 1} jobs in ${seconds(connected, ran)} s, ${memory} MiB`,
    );
  });
});
