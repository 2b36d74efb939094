import assert from 'node:assert/strict';
import type { JobDemand, SchedulerNode } from '../../../src/queue';
import { aJob, aNode, aScheduler, demand, devices, need, starts } from './builders';

const nodeA = aNode('node-a', devices(4, 'V100'));
const nodeB = aNode('node-b', devices(4, 'V100'));

describe('the reason of a pending job', () => {
  it('names what is free and who has the rest', () => {
    const scheduler = aScheduler(nodeA);
    scheduler.submit(aJob(2, demand('1xV100')));
    scheduler.submit(aJob(3, demand('1xV100'), { label: 'job 3 (eval)' }));
    scheduler.submit(aJob(4, demand('4xV100')));
    starts(scheduler);
    assert.deepEqual(scheduler.reason('4'), {
      kind: 'resources',
      text: 'waiting for 4 × V100 on 1 node: 2 free (job 2 has 1, job 3 (eval) has 1)',
      position: 1,
      missing: {
        what: 'gpu',
        node: 'node-a',
        wanted: 4,
        free: 2,
        holders: [
          { job: '2', amount: 1 },
          { job: '3', amount: 1 },
        ],
        foreign: [],
      },
    });
  });

  it('names the closest node when there are several', () => {
    const scheduler = aScheduler(nodeA, nodeB);
    scheduler.submit(aJob(1, demand('3xV100')));
    scheduler.submit(aJob(2, demand('2xV100')));
    scheduler.submit(aJob(3, demand([need('4xV100'), need('4x*')])));
    scheduler.submit(aJob(4, demand('2xV100', 2)));
    starts(scheduler);
    const text = (id: string) => scheduler.reason(id).text;
    assert.equal(text('3'), 'waiting for 4 × V100 or 4 × GPU on 1 node: 2 free on node-b (job 2 has 2)');
    assert.equal(
      text('4'),
      'waiting for 2 × V100 on 2 nodes: 1 has enough free; node-a has 1 free (job 1 has 3)',
    );
    assert.equal(scheduler.reason('4').position, 2);
  });

  it('names nodes that are down or draining', () => {
    const scheduler = aScheduler(nodeA, nodeB);
    scheduler.submit(aJob(1, demand('1xV100', 2)));
    scheduler.setNodeState('node-b', 'down');
    assert.deepEqual(starts(scheduler), []);
    assert.equal(scheduler.reason('1').text, 'waiting for node-b, which is down');
    assert.deepEqual(scheduler.reason('1').waitsFor, ['node-b']);
    scheduler.setNodeState('node-a', 'draining');
    assert.equal(scheduler.reason('1').text, 'waiting for node-a (draining) and node-b (down)');
    scheduler.setNodeState('node-b', 'draining');
    assert.equal(scheduler.reason('1').text, 'waiting for node-a and node-b, which are draining');
    scheduler.removeNode('node-a');
    assert.deepEqual(scheduler.reason('1'), {
      kind: 'never',
      text: 'needs 2 nodes with 1 × V100 each; the cluster has 1',
      position: 1,
    });
  });

  it('names who uses a device outside the queue', () => {
    const scheduler = aScheduler(nodeA);
    scheduler.setForeign('node-a', 3, 'bob');
    scheduler.setForeign('node-a', 2, '');
    scheduler.submit(aJob(1, demand('4xV100')));
    starts(scheduler);
    assert.equal(
      scheduler.reason('1').text,
      'waiting for 4 × V100 on 1 node: 2 free (GPU 2 of node-a is used, outside this queue, ' +
        'GPU 3 of node-a is used by bob, outside this queue)',
    );
  });

  it('tells CPUs, memory and fractions', () => {
    const scheduler = aScheduler(aNode('node-a', devices(1, 'V100'), { cpus: 8, memoryMiB: 64 * 1024 }));
    scheduler.submit(aJob(1, demand(need('0.75xV100', { cpus: 4, memoryMiB: 48 * 1024 }))));
    scheduler.submit(aJob(2, demand(need('', { cpus: 6 }))));
    scheduler.submit(aJob(3, demand(need('', { memoryMiB: 32 * 1024 }))));
    scheduler.submit(aJob(4, demand('0.5xV100')));
    starts(scheduler);
    assert.deepEqual(
      ['2', '3', '4'].map((id) => scheduler.reason(id).text),
      [
        'waiting for 6 CPUs on 1 node: 4 free (job 1 has 4)',
        'waiting for 32 GB of memory on 1 node: 16 GB free (job 1 has 48 GB)',
        'waiting for 0.5 × V100 on 1 node: 0.25 free (job 1 has 0.75)',
      ],
    );
  });

  it('says that a job starts next before the plan is made', () => {
    const scheduler = aScheduler(nodeA);
    scheduler.submit(aJob(1, demand('1xV100')));
    assert.deepEqual(scheduler.reason('1'), { kind: 'starting', text: 'starts next', position: 1 });
  });

  it('names four holders and counts the rest', () => {
    const scheduler = aScheduler(aNode('node-a', devices(8, 'V100')));
    for (let id = 1; id <= 6; id++) scheduler.submit(aJob(id, demand('1xV100')));
    scheduler.submit(aJob(7, demand('8xV100')));
    starts(scheduler);
    assert.equal(
      scheduler.reason('7').text,
      'waiting for 8 × V100 on 1 node: 2 free (job 1 has 1, job 2 has 1, job 3 has 1, job 4 has 1, 2 more)',
    );
  });
});

describe('the refusal of a demand', () => {
  const small = aNode('small', devices(4, 'V100', { memoryMiB: 16160 }), { cpus: 32, memoryMiB: 128 * 1024 });
  const fat = aNode('fat', [], { cpus: 128, memoryMiB: 512 * 1024 });
  const cases: readonly (readonly [string, JobDemand, readonly SchedulerNode[], string | undefined])[] = [
    ['what fits', demand('4xv100'), [small], undefined],
    ['one alternative that fits', demand([need('1xH100'), need('1xV100')]), [small], undefined],
    ['a fraction', demand('0.5xV100'), [small], undefined],
    ['too many GPUs', demand('8xV100'), [small, fat], 'needs 8 × V100 on one node; the largest node has 4'],
    [
      'too many on each',
      demand('8xV100', 2),
      [small, small],
      'needs 8 × V100 on each of 2 nodes; the largest node has 4',
    ],
    ['a GPU nobody has', demand('1xH100'), [small], 'needs 1 × H100; the cluster has only V100'],
    ['a GPU on CPU nodes', demand('1x*'), [fat], 'needs 1 × GPU; the cluster has no GPU'],
    [
      'GPU memory nobody has',
      demand({ gpu: { count: 1, memoryMiB: { amount: 32 * 1024, atLeast: true } }, cpus: 1, memoryMiB: 0 }),
      [small],
      'needs 1 × GPU with 32 GB or more; the cluster has only V100',
    ],
    [
      'too many CPUs',
      demand(need('', { cpus: 256 })),
      [small, fat],
      'needs 256 CPUs on one node; the largest node has 128',
    ],
    [
      'too much memory',
      demand(need('', { memoryMiB: 1024 * 1024 })),
      [small, fat],
      'needs 1024 GB of memory on one node; the largest node has 512 GB',
    ],
    [
      'what no node has at once',
      demand(need('4xV100', { cpus: 64 })),
      [small, fat],
      'needs 4 × V100 and 64 CPUs on one node; no node has all of it',
    ],
    [
      'too many nodes',
      demand('4xV100', 3),
      [small, fat],
      'needs 3 nodes with 4 × V100 each; the cluster has 1',
    ],
    ['anything without nodes', demand(''), [], 'needs a node; the cluster has none'],
    [
      'several alternatives',
      demand([need('8xV100'), need('1xH100')]),
      [small],
      'needs 8 × V100 on one node; the largest node has 4; or needs 1 × H100; the cluster has only V100',
    ],
  ];
  for (const [title, wants, nodes, expected] of cases) {
    it(`answers ${title}`, () => {
      const scheduler = aScheduler(...nodes.map((node, i) => ({ ...node, id: `${node.id}-${i}` })));
      assert.equal(scheduler.refusal(wants), expected);
    });
  }

  it('counts nodes that are down and devices in use as capacity', () => {
    const scheduler = aScheduler(nodeA);
    scheduler.setNodeState('node-a', 'down');
    scheduler.setForeign('node-a', 0, 'bob');
    assert.equal(scheduler.refusal(demand('4xV100')), undefined);
  });
});
