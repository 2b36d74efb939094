import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord } from '../../src/queue';
import { haveSshd } from '../support/sshd';
import { taskOf, World } from '../support/world';

const V100 = { name: 'Tesla V100-SXM2-32GB', count: 4, memoryMiB: 32768 };

describe('jobs that wait on their node', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  let world: World;
  beforeEach(async () => {
    world = new World();
    await world.nodes.add('node-a', { gpus: V100 });
    await world.open();
    await world.cluster('c', ['node-a']);
  });
  afterEach(() => world.close());

  const task = (gpus: number, run: string): string =>
    `resources:\n  accelerators: V100:${gpus}\n  cpus: 0.1\nrun: |\n  ${run}\n`;
  const home = (): string => path.join(world.nodes.dir, 'node-a', 'home');
  const reason = (id: number): string => world.engine.job('c', id).reason?.text ?? '';
  const staged = (id: number, place = ''): Promise<void> =>
    world.until(() => reason(id).includes(`staged on node-a, ${place}`), `job ${id} is staged`);
  /** Waits for a line in a file on the node, while no engine is there to tell. */
  const lines = async (file: string, count: number): Promise<string[]> => {
    for (;;) {
      const text = await Promise.resolve()
        .then(() => readFileSync(path.join(home(), file), 'utf8'))
        .catch(() => '');
      const found = text.split('\n').filter((line) => line !== '');
      if (found.length >= count) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const order = 'echo "$SKYPILOT_INTERNAL_JOB_ID $CUDA_VISIBLE_DEVICES" >> ~/order';

  it('start in order without a client, and are found as if it had been there', async () => {
    const first = await world.submit('c', task(4, 'while [ ! -e ~/go ]; do sleep 0.02; done'));
    for (const gpus of [3, 2, 4, 2, 1])
      await world.submit('c', task(gpus, `${order}; sleep 0.3; exit ${gpus % 4}`));
    await staged(6, '5th');
    assert.match(
      reason(2),
      /^waiting for 3 × V100 on 1 node: 0 free \(job 1 has 4\); staged on node-a, 1st$/,
    );
    await world.shut();
    writeFileSync(path.join(home(), 'go'), '');
    // Backfill by queue order: 2 takes three, 6 the fourth; then 3 and 5 share, and 4 comes last.
    const began = await lines('order', 5);
    assert.deepEqual(began.slice(0, 2).sort(), ['2 0,1,2', '6 3']);
    assert.deepEqual(began.slice(2, 4).sort(), ['3 0,1', '5 2,3']);
    assert.equal(began[4], '4 0,1,2,3');
    await world.open();
    world.engine.connect('c');
    const ended: JobRecord[] = [];
    for (const id of [1, 2, 3, 4, 5, 6]) ended.push(await world.ended('c', id));
    assert.equal(ended[0]?.uuid, first.uuid);
    assert.deepEqual(
      ended.map(({ status, exitCodes }) => `${status} ${String(exitCodes)}`),
      ['SUCCEEDED 0', 'FAILED 3', 'FAILED 2', 'SUCCEEDED 0', 'FAILED 2', 'FAILED 1'],
    );
    assert.deepEqual(
      ended.map(({ placement }) => placement?.ranks[0]?.devices.join()),
      ['0,1,2,3', '0,1,2', '0,1', '0,1,2,3', '2,3', '3'],
    );
    assert.equal(readFileSync(path.join(home(), 'order'), 'utf8').trim().split('\n').length, 5);
  });

  it('are cancelled, moved, held and let go, also by an engine that comes back', async () => {
    await world.submit('c', task(4, 'while [ ! -e ~/go ]; do sleep 0.02; done'));
    for (let i = 0; i < 5; i++) await world.submit('c', task(4, order));
    await staged(6, '5th');
    void world.engine.cancel('c', [2]);
    await world.engine.reorder('c', 6, { move: 'first' });
    await world.engine.reorder('c', 3, { held: true });
    await staged(6, '1st');
    await staged(5, '3rd');
    assert.equal((await world.ended('c', 2)).status, 'CANCELLED');
    assert.equal(reason(3), 'held');
    await world.shut();
    await world.open();
    world.engine.connect('c');
    await staged(4, '2nd');
    void world.engine.cancel('c', [4]);
    assert.equal((await world.ended('c', 4)).status, 'CANCELLED');
    writeFileSync(path.join(home(), 'go'), '');
    await world.ended('c', 6);
    await world.ended('c', 5);
    assert.deepEqual(await lines('order', 2), ['6 0,1,2,3', '5 0,1,2,3']);
    await world.engine.reorder('c', 3, { held: false });
    assert.equal((await world.ended('c', 3)).status, 'SUCCEEDED');
    assert.equal((await lines('order', 3)).length, 3);
  });

  it('keep to a place that was given a moment before the devices are free', async () => {
    await world.submit('c', task(4, 'sleep 60'));
    for (let i = 0; i < 3; i++)
      await world.submit('c', task(4, `${order}; while [ ! -e ~/on ]; do sleep 0.02; done`));
    await staged(4, '3rd');
    void world.engine.reorder('c', 4, { move: 2 });
    void world.engine.cancel('c', [1]);
    await world.until(() => world.status('c', 4) === 'RUNNING', 'the node has told that it began');
    writeFileSync(path.join(home(), 'on'), '');
    for (const id of [2, 3, 4]) assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.deepEqual(await lines('order', 3), ['4 0,1,2,3', '2 0,1,2,3', '3 0,1,2,3']);
  });

  it('come after others that succeed, and never when one fails, without a client', async () => {
    await world.submit('c', task(4, 'while [ ! -e ~/go ]; do sleep 0.02; done; exit 1'));
    await world.submit('c', task(4, order));
    const after = (ids: number[]): Promise<JobRecord> =>
      world.engine.submit(taskOf(task(1, order)), { cluster: 'c', user: 'me', after: ids });
    await after([1]);
    await after([2]);
    await staged(4);
    await staged(3);
    await world.shut();
    writeFileSync(path.join(home(), 'go'), '');
    assert.deepEqual(await lines('order', 2), ['2 0,1,2,3', '4 0']);
    await world.open();
    world.engine.connect('c');
    assert.equal((await world.ended('c', 4)).status, 'SUCCEEDED');
    assert.equal((await world.ended('c', 3)).status, 'CANCELLED');
    assert.equal((await lines('order', 2)).length, 2);
  });
});
