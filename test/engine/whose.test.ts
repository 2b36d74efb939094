import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { NodeUsage } from '../../src/queue';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

const UNTIL_TOLD = 'resources: {accelerators: V100}\nrun: while [ ! -e "$HOME/end" ]; do sleep 0.05; done\n';
const GPUS = { gpus: { name: 'Tesla V100-SXM2-16GB', count: 2, memoryMiB: 16160 } };

const devices = (world: World, cluster: string): NodeUsage['devices'] =>
  world.engine.view(cluster)?.nodes[0]?.usage?.devices ?? [];

describe('a node that two clusters of one person share, on real sshd', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  after(() => world.close());

  it('shows in the one which job of the other has a device, until it ends', async () => {
    const { home } = await world.nodes.add('n', GPUS);
    await world.open();
    await world.cluster('first', ['n']);
    await world.cluster('second', ['n']);
    const job = await world.submit('first', UNTIL_TOLD);
    await world.until(() => world.status('first', job.id) === 'RUNNING', 'it runs');
    const index = world.engine.job('first', job.id).record.placement?.ranks[0]?.devices[0] ?? -1;
    const seen = devices(world, 'second')[index];
    assert.deepEqual([seen?.foreign, seen?.free], [`job ${job.id} of cluster first`, 0]);
    assert.equal(devices(world, 'first')[index]?.foreign, undefined);
    writeFileSync(path.join(home, 'end'), '');
    let told = 0;
    const stop = world.engine.onDidChange(({ clusters }) => (told += clusters.has('second') ? 1 : 0));
    await world.ended('first', job.id);
    await world.until(() => devices(world, 'second')[index]?.free === 1, 'the second shows that it is free');
    stop();
    assert.ok(told > 0, 'the second was told');
    assert.equal(devices(world, 'second')[index]?.foreign, undefined);
  });

  for (const relay of ['yes', 'no'])
    it(`gives no more shares of a GPU than there are to jobs of both; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
      const name = `halves-${relay}`;
      const { home } = await world.nodes.add(name, {
        gpus: { ...GPUS.gpus, count: 1 },
        env: { CLUSTER_QUEUE_RELAY: relay },
      });
      const [first, second] = [`first-${relay}`, `second-${relay}`];
      await world.cluster(first, [name]);
      await world.cluster(second, [name]);
      const half = UNTIL_TOLD.replace('V100', '"V100:0.5"');
      const one = await world.submit(first, half);
      await world.until(() => world.status(first, one.id) === 'RUNNING', 'it runs');
      const two = await Promise.all([world.submit(second, half), world.submit(second, half)]);
      const are = (status: string): number =>
        two.filter(({ id }) => world.status(second, id) === status).length;
      await world.until(() => are('SETTING_UP') > 0, 'they were sent');
      await world.until(() => are('SETTING_UP') === 0, 'they were answered');
      assert.deepEqual([are('RUNNING'), are('PENDING')], [1, 1]);
      writeFileSync(path.join(home, 'end'), '');
      for (const { id } of two) assert.equal((await world.ended(second, id)).status, 'SUCCEEDED');
    });
});

for (const [way, env] of [
  ['with perl', {}],
  ['without perl', { CLUSTER_QUEUE_RELAY: 'no' }],
] as const)
  describe(`a machine that two people share, ${way}, on real sshd`, function () {
    // Another Unix user can be had by root alone.
    if (!haveSshd || process.getuid?.() !== 0) return;
    this.timeout(60_000);
    const world = new World();
    const user = 'cqwhose';
    before(() => execFileSync('sh', ['-c', `id ${user} >/dev/null 2>&1 || useradd -M -s /bin/bash ${user}`]));
    after(async () => {
      await world.close();
      execFileSync('sh', ['-c', `userdel ${user} 2>/dev/null || true`]);
    });

    it('shows whose queue has a device', async () => {
      const theirs = await world.nodes.add('theirs', { ...GPUS, machine: 'box', user, env });
      await world.nodes.add('mine', { ...GPUS, machine: 'box', env });
      await world.open();
      await world.cluster('colleague', ['theirs']);
      const job = await world.submit('colleague', UNTIL_TOLD);
      await world.until(() => world.status('colleague', job.id) === 'RUNNING', 'it runs');
      const index = world.engine.job('colleague', job.id).record.placement?.ranks[0]?.devices[0] ?? -1;
      // The colleague has an engine of his own, of which this one knows nothing.
      await world.shut();
      await world.open({ home: path.join(world.home, 'mine') });
      await world.cluster('c', ['mine']);
      const seen = devices(world, 'c')[index];
      assert.deepEqual([seen?.foreign, seen?.free], [`${user}'s queue`, 0]);
      const want = await world.submit('c', 'resources: {accelerators: V100:2}\nrun: echo\n');
      assert.notEqual(world.status('c', want.id), 'RUNNING');
      writeFileSync(path.join(theirs.home, 'end'), '');
      assert.equal((await world.ended('c', want.id, 40_000)).status, 'SUCCEEDED');
    });
  });
