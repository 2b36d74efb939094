import assert from 'node:assert/strict';
import { aJob, aNode, aScheduler, demand, devices, need, starts } from './builders';

const fourV100 = () => aScheduler(aNode('node-a', devices(4, 'V100')));

describe('the scheduler on the worked example', () => {
  it('starts 2, 3 and 5 when job 1 ends, and 4 when all the others have', () => {
    const scheduler = fourV100();
    scheduler.submit(aJob(1, demand('4xV100')));
    assert.deepEqual(starts(scheduler), ['1: node-a[0,1,2,3]']);
    for (const [id, gpus] of [
      [2, 1],
      [3, 1],
      [4, 4],
      [5, 2],
    ] as const) {
      scheduler.submit(aJob(id, demand(`${gpus}xV100`)));
      assert.deepEqual(starts(scheduler), []);
    }
    scheduler.release('1');
    assert.deepEqual(starts(scheduler), ['2: node-a[0]', '3: node-a[1]', '5: node-a[2,3]']);
    assert.equal(scheduler.position('4'), 1);
    for (const id of ['2', '5']) {
      scheduler.release(id);
      assert.deepEqual(starts(scheduler), []);
    }
    scheduler.release('3');
    assert.deepEqual(starts(scheduler), ['4: node-a[0,1,2,3]']);
  });

  it('lets in a gang that is passed for ever, by itself first in the queue or not, once the small jobs are held', () => {
    const scheduler = aScheduler(aNode('a', devices(2, 'V100')), aNode('b', devices(2, 'V100')));
    for (const id of [1, 2, 3, 4]) scheduler.submit(aJob(id, demand('1xV100')));
    assert.equal(starts(scheduler).length, 4);
    scheduler.submit(aJob(5, demand('2xV100', 2), { priority: 1000 }));
    for (const id of [6, 7]) scheduler.submit(aJob(id, demand('1xV100')));
    scheduler.release('1');
    assert.deepEqual(starts(scheduler), ['6: a[0]']);
    scheduler.setOrder('7', { held: true });
    for (const id of ['2', '3', '4', '6']) {
      assert.deepEqual(starts(scheduler), []);
      scheduler.release(id);
    }
    assert.deepEqual(starts(scheduler), ['5: a[0,1] b[0,1]']);
  });

  it('fits four jobs of 2 nodes × 4 V100 on 4 nodes × 8', () => {
    const scheduler = aScheduler(...['a', 'b', 'c', 'd'].map((id) => aNode(id, devices(8, 'V100'))));
    for (let id = 1; id <= 5; id++) scheduler.submit(aJob(id, demand('4xV100', 2)));
    assert.deepEqual(starts(scheduler), [
      '1: a[0,1,2,3] b[0,1,2,3]',
      '2: a[4,5,6,7] b[4,5,6,7]',
      '3: c[0,1,2,3] d[0,1,2,3]',
      '4: c[4,5,6,7] d[4,5,6,7]',
    ]);
    scheduler.release('2', 0);
    assert.deepEqual(starts(scheduler), []);
    scheduler.release('3', 1);
    assert.deepEqual(starts(scheduler), ['5: a[4,5,6,7] d[0,1,2,3]']);
  });
});

describe('the scheduler', () => {
  it('puts a job where the fewest GPUs are left', () => {
    const scheduler = aScheduler(aNode('big', devices(8, 'V100')), aNode('small', devices(2, 'V100')));
    scheduler.submit(aJob(1, demand('1xV100')));
    scheduler.submit(aJob(2, demand('2xV100')));
    assert.deepEqual(starts(scheduler), ['1: small[0]', '2: big[0,1]']);
  });

  it('runs a job without GPU beside waiting GPU jobs, away from free GPUs', () => {
    const scheduler = aScheduler(aNode('gpu', devices(1, 'V100')), aNode('cpu', []));
    scheduler.submit(aJob(1, demand('1xV100')));
    scheduler.submit(aJob(2, demand('1xV100')));
    scheduler.submit(aJob(3, demand('')));
    assert.deepEqual(starts(scheduler), ['1: gpu[0]', '3: gpu[]']);
    scheduler.release('1');
    assert.deepEqual(starts(scheduler), ['2: gpu[0]']);
  });

  it('puts fractions on one device before it opens another, and never mixes them with whole ones', () => {
    const scheduler = aScheduler(aNode('node-a', devices(2, 'V100')));
    for (let id = 1; id <= 3; id++) scheduler.submit(aJob(id, demand('0.4xV100')));
    scheduler.submit(aJob(4, demand('0.2xV100')));
    scheduler.submit(aJob(5, demand('1xV100')));
    assert.deepEqual(starts(scheduler), ['1: node-a[0]', '2: node-a[0]', '3: node-a[1]', '4: node-a[0]']);
    scheduler.release('3');
    assert.deepEqual(starts(scheduler), ['5: node-a[1]']);
  });

  it('fits three thirds and ten tenths on one device', () => {
    for (const parts of [3, 10]) {
      const scheduler = aScheduler(aNode('node-a', devices(1, 'V100')));
      for (let id = 1; id <= parts + 1; id++) scheduler.submit(aJob(id, demand(`${1 / parts}xV100`)));
      assert.equal(starts(scheduler).length, parts);
    }
  });

  it('gives devices under one switch together, and from the smallest group that has enough', () => {
    const grouped = [...devices(4, 'V100').map((d) => ({ ...d, group: d.index < 1 ? 'x' : 'y' }))];
    const scheduler = aScheduler(aNode('node-a', grouped));
    scheduler.submit(aJob(1, demand('3xV100')));
    scheduler.submit(aJob(2, demand('1xV100')));
    assert.deepEqual(starts(scheduler), ['1: node-a[1,2,3]', '2: node-a[0]']);
  });

  it('takes devices in the order in which the node prefers them', () => {
    const scheduler = aScheduler(aNode('node-a', devices(4, 'V100').reverse()));
    scheduler.submit(aJob(1, demand('2xV100')));
    assert.deepEqual(starts(scheduler), ['1: node-a[2,3]']);
  });

  it('tries alternatives in order', () => {
    const scheduler = aScheduler(aNode('old', devices(2, 'K80')), aNode('new', devices(1, 'A100')));
    const wants = demand([need('1xA100'), need('2xk80')]);
    for (let id = 1; id <= 3; id++) scheduler.submit(aJob(id, wants));
    assert.deepEqual(starts(scheduler), ['1: new[0]', '2: old[0,1] alt 1']);
  });

  it('counts CPUs and memory', () => {
    const scheduler = aScheduler(aNode('node-a', devices(4, 'V100'), { cpus: 8, memoryMiB: 32 * 1024 }));
    scheduler.submit(aJob(1, demand(need('1xV100', { cpus: 4, memoryMiB: 16 * 1024 }))));
    scheduler.submit(aJob(2, demand(need('1xV100', { cpus: 5 }))));
    scheduler.submit(aJob(3, demand(need('1xV100', { memoryMiB: 17 * 1024 }))));
    scheduler.submit(aJob(4, demand(need('1xV100', { cpus: 4, memoryMiB: 16 * 1024 }))));
    assert.deepEqual(starts(scheduler), ['1: node-a[0]', '4: node-a[1]']);
  });

  it('serves the higher priority first, also when it changes while the job waits', () => {
    const scheduler = aScheduler(aNode('node-a', devices(1, 'V100')));
    scheduler.submit(aJob(1, demand('1xV100')));
    starts(scheduler);
    scheduler.submit(aJob(2, demand('1xV100')));
    scheduler.submit(aJob(3, demand('1xV100'), { priority: 1 }));
    scheduler.submit(aJob(4, demand('1xV100')));
    assert.deepEqual(
      ['3', '2', '4'].map((id) => scheduler.position(id)),
      [1, 2, 3],
    );
    scheduler.setOrder('4', { priority: 5 });
    assert.equal(scheduler.position('4'), 1);
    scheduler.release('1');
    assert.deepEqual(starts(scheduler), ['4: node-a[0]']);
    scheduler.setOrder('2', { order: 0, priority: 1 });
    scheduler.release('4');
    assert.deepEqual(starts(scheduler), ['2: node-a[0]']);
  });

  it('keeps a held job in the queue until it is let go', () => {
    const scheduler = fourV100();
    scheduler.submit(aJob(1, demand('4xV100'), { held: true }));
    scheduler.submit(aJob(2, demand('1xV100')));
    assert.deepEqual(starts(scheduler), ['2: node-a[0]']);
    assert.deepEqual(scheduler.reason('1'), { kind: 'held', text: 'held', position: 1 });
    scheduler.setOrder('1', { held: false });
    assert.deepEqual(starts(scheduler), []);
    scheduler.release('2');
    assert.deepEqual(starts(scheduler), ['1: node-a[0,1,2,3]']);
  });

  it('starts nothing on nodes that are draining or down, and goes on when they are up', () => {
    const scheduler = fourV100();
    scheduler.submit(aJob(1, demand('1xV100')));
    starts(scheduler);
    scheduler.setNodeState('node-a', 'draining');
    scheduler.submit(aJob(2, demand('1xV100')));
    assert.deepEqual(starts(scheduler), []);
    scheduler.setNodeState('node-a', 'down');
    scheduler.release('1');
    assert.deepEqual(starts(scheduler), []);
    scheduler.setNodeState('node-a', 'up');
    assert.deepEqual(starts(scheduler), ['2: node-a[0]']);
  });

  it('leaves devices alone that somebody uses outside the queue', () => {
    const scheduler = fourV100();
    scheduler.setForeign('node-a', 0, 'bob');
    scheduler.setForeign('node-a', 9, 'bob');
    scheduler.submit(aJob(1, demand('1xV100')));
    scheduler.submit(aJob(2, demand('3xV100')));
    assert.deepEqual(starts(scheduler), ['1: node-a[1]']);
    scheduler.setForeign('node-a', 0, undefined);
    assert.deepEqual(starts(scheduler), ['2: node-a[0,2,3]']);
  });

  it('returns a refused launch to its old place', () => {
    const scheduler = aScheduler(aNode('a', devices(1, 'V100')), aNode('b', devices(1, 'V100')));
    for (const id of [1, 2, 3]) scheduler.submit(aJob(id, demand('1xV100')));
    assert.deepEqual(starts(scheduler), ['1: a[0]', '2: b[0]']);
    scheduler.setForeign('a', 0, 'bob');
    scheduler.requeue('1');
    assert.deepEqual(starts(scheduler), []);
    assert.equal(scheduler.position('1'), 1);
    scheduler.release('2');
    assert.deepEqual(starts(scheduler), ['1: b[0]']);
  });

  it('adopts running jobs before it knows their nodes', () => {
    const scheduler = aScheduler();
    const ranks = [{ node: 'node-a', devices: [1, 2] }];
    scheduler.adopt(aJob(1, demand('2xV100')), { ranks, alternative: 0 });
    scheduler.submit(aJob(2, demand('2xV100')));
    scheduler.submit(aJob(3, demand('1xV100')));
    assert.deepEqual(starts(scheduler), []);
    scheduler.setNode(aNode('node-a', devices(4, 'V100')));
    assert.deepEqual(starts(scheduler), ['2: node-a[0,3]']);
    scheduler.release('1');
    assert.deepEqual(starts(scheduler), ['3: node-a[1]']);
  });

  it('lets running jobs keep their devices when the inventory changes or the node comes back', () => {
    const scheduler = fourV100();
    scheduler.submit(aJob(1, demand('2xV100')));
    starts(scheduler);
    scheduler.setNode(aNode('node-a', devices(8, 'V100')));
    scheduler.submit(aJob(2, demand('1xV100')));
    assert.deepEqual(starts(scheduler), ['2: node-a[2]']);
    scheduler.removeNode('node-a');
    scheduler.submit(aJob(3, demand('1xV100')));
    assert.deepEqual(starts(scheduler), []);
    scheduler.setNode(aNode('node-a', devices(4, 'V100')));
    assert.deepEqual(starts(scheduler), ['3: node-a[3]']);
    assert.deepEqual(
      scheduler.usage('node-a').devices.map(({ jobs }) => jobs.join()),
      ['1', '1', '2', '3'],
    );
  });

  it('cancels a pending job', () => {
    const scheduler = aScheduler(aNode('node-a', devices(1, 'V100')));
    scheduler.submit(aJob(1, demand('1xV100')));
    scheduler.submit(aJob(2, demand('1xV100')));
    scheduler.remove('1');
    assert.deepEqual(starts(scheduler), ['2: node-a[0]']);
    assert.equal(scheduler.position('1'), undefined);
  });

  it('throws for jobs and nodes it does not know, and for a job it knows', () => {
    const scheduler = fourV100();
    scheduler.submit(aJob(1, demand('8xV100')));
    assert.throws(() => scheduler.submit(aJob(1, demand('1xV100'))), /job 1 is known already/);
    assert.throws(() => scheduler.release('1'), /job 1 is not running/);
    assert.throws(() => scheduler.remove('2'), /job 2 is not pending/);
    assert.throws(() => scheduler.setNodeState('node-z', 'up'), /node node-z is not in the cluster/);
  });

  it('sums up what is used', () => {
    const scheduler = aScheduler(aNode('a', devices(4, 'V100')), aNode('b', devices(4, 'V100')));
    scheduler.setForeign('a', 3, 'bob');
    scheduler.submit(aJob(1, demand('0.5xV100')));
    scheduler.submit(aJob(2, demand('8xV100')));
    starts(scheduler);
    scheduler.setNodeState('b', 'down');
    assert.deepEqual(scheduler.totals(), {
      nodes: { total: 2, up: 1 },
      gpus: { total: 8, free: 2.5, foreign: 1 },
      pending: 1,
      running: 1,
    });
    const { cpus, devices: used } = scheduler.usage('a');
    assert.deepEqual(cpus, { total: 64, free: 63.5 });
    assert.deepEqual(used[0], { index: 0, name: 'V100', free: 0.5, jobs: ['1'] });
    assert.deepEqual(used[3], { index: 3, name: 'V100', free: 0, jobs: [], foreign: 'bob' });
  });
});
