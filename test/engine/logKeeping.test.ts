import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, type TestNode } from '../support/sshd';
import { World } from '../support/world';

describe('the log of a job that nobody looks at', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let node: TestNode;
  before(async () => {
    node = await world.nodes.add('node-a');
    await world.open();
    await world.cluster('c', ['node-a']);
  });
  after(() => world.close());

  const told = (uuid: string): string =>
    path.join(node.home, '.cluster-queue', 'node-a', 'jobs', `${uuid}-0`, 'told');
  const known = (id: number): Promise<void> =>
    world.until(() => world.engine.job('c', id).record.logBytes !== undefined, 'its log is here');

  it('is brought after its end, and then its node need not keep it', async () => {
    const { id, uuid } = await world.submit('c', 'run: echo unseen');
    await known(id);
    const { record } = world.engine.job('c', id);
    assert.equal(record.logBytes, 7);
    assert.equal(readFileSync(world.engine.logFile(record), 'utf8'), 'unseen\n');
    while (!existsSync(told(uuid))) await new Promise((resolve) => setTimeout(resolve, 20));
    await node.stop();
    await world.shut();
    await world.open();
    assert.equal(await world.log('c', id), 'unseen\n', 'without its node');
    await node.start();
  });

  it('is brought by the next engine when the one before went too early, and again when its file is gone', async () => {
    await world.engine.refresh('c');
    const { id, uuid } = await world.submit('c', 'run: echo late');
    await world.ended('c', id);
    await world.shut();
    assert.ok(!existsSync(told(uuid)));
    await world.open();
    world.engine.connect('c');
    await known(id);
    rmSync(world.engine.logFile(world.engine.job('c', id).record));
    assert.equal(await world.log('c', id), 'late\n');
  });
});
