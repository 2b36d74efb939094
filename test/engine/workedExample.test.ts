import assert from 'node:assert/strict';
import { renderQueue } from '../../src/queue';
import { applyOverrides } from '../../src/task';
import { haveSshd } from '../support/sshd';
import { taskOf, World } from '../support/world';

const FILE = `
name: huggingface
resources:
  accelerators: V100:4
run: |
  echo "devices=$CUDA_VISIBLE_DEVICES order=$CUDA_DEVICE_ORDER"
  while [ ! -e "$HOME/end-$SKYPILOT_INTERNAL_JOB_ID" ]; do sleep 0.05; done
`;

describe('the worked example, on a real sshd node of 4 × V100', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  after(() => world.close());

  it('starts job2, job3 and job5 around job4, and job4 when they have ended', async () => {
    const node = await world.nodes.add('node-a', {
      gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 },
    });
    await world.open();
    await world.cluster('mycluster', ['node-a']);
    const { writeFileSync } = await import('node:fs');
    const end = (id: number): void => writeFileSync(`${node.home}/end-${id}`, '');
    const task = taskOf(FILE);
    const submit = (name: string, gpus: string): Promise<unknown> =>
      world.submit('mycluster', applyOverrides(task, { name, gpus }));

    await world.submit('mycluster', task);
    await world.until(() => world.status('mycluster', 1) === 'RUNNING', 'job 1 runs');
    await submit('job2', 'V100:1');
    await submit('job3', 'V100:1');
    await submit('job4', 'V100:4');
    await submit('job5', 'V100:2');
    assert.deepEqual(
      [2, 3, 4, 5].map((id) => world.status('mycluster', id)),
      ['PENDING', 'PENDING', 'PENDING', 'PENDING'],
    );
    assert.match(
      world.engine.job('mycluster', 4).reason?.text ?? '',
      /waiting for 4 × V100 on 1 node: 0 free \(job 1 has 4\)/,
    );

    end(1);
    await world.until(
      () => [2, 3, 5].every((id) => world.status('mycluster', id) === 'RUNNING'),
      'jobs 2, 3 and 5 run',
    );
    const records = world.engine.jobs('mycluster').map(({ record }) => record);
    const table = renderQueue(records, Date.now() + 600_000)
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(table[0], ['ID', 'NAME', 'USER', 'SUBMITTED', 'STARTED', 'STATUS']);
    assert.deepEqual(
      table.slice(1, 6).map(([id, name, user, , started, status]) => [id, name, user, started, status]),
      [
        ['5', 'job5', 'me', '10 mins ago', 'RUNNING'],
        ['4', 'job4', 'me', '-', 'PENDING'],
        ['3', 'job3', 'me', '10 mins ago', 'RUNNING'],
        ['2', 'job2', 'me', '10 mins ago', 'RUNNING'],
        ['1', 'huggingface', 'me', '10 mins ago', 'SUCCEEDED'],
      ],
    );

    for (const id of [2, 3, 5]) end(id);
    await world.until(() => world.status('mycluster', 4) === 'RUNNING', 'job 4 runs');
    end(4);
    assert.equal((await world.ended('mycluster', 4)).status, 'SUCCEEDED');
    const seen = new Map<number, string>();
    for (const id of [1, 2, 3, 4, 5]) {
      const log = await world.log('mycluster', id);
      assert.match(log, /^devices=[\d,]+ order=PCI_BUS_ID\n$/);
      seen.set(id, /devices=([\d,]+)/.exec(log)?.[1] ?? '');
    }
    assert.equal(seen.get(1), '0,1,2,3');
    assert.equal(seen.get(4), '0,1,2,3');
    assert.deepEqual([2, 3, 5].flatMap((id) => seen.get(id)?.split(',') ?? []).sort(), ['0', '1', '2', '3']);
  });
});

describe('the multi-node example, on four real sshd nodes of 8 × V100', function () {
  if (!haveSshd) return;
  this.timeout(90_000);
  const world = new World();
  after(() => world.close());

  it('fills the cluster with four tasks of two nodes, four devices on each', async () => {
    const names = ['node-1', 'node-2', 'node-3', 'node-4'];
    for (const name of names)
      await world.nodes.add(name, { gpus: { name: 'Tesla V100-SXM2-32GB', count: 8 } });
    await world.open();
    await world.cluster('four', names);
    const yaml = `
name: gang
num_nodes: 2
resources:
  accelerators: V100:4
run: |
  echo "rank=$SKYPILOT_NODE_RANK of=$SKYPILOT_NUM_NODES gpus=$SKYPILOT_NUM_GPUS_PER_NODE devices=$CUDA_VISIBLE_DEVICES ips=$(echo $SKYPILOT_NODE_IPS)"
  echo "task=$SKYPILOT_TASK_ID"
  sleep 1.5
`;
    for (let i = 0; i < 5; i++) await world.submit('four', yaml);
    await world.until(
      () => [1, 2, 3, 4].every((id) => world.status('four', id) === 'RUNNING'),
      'four gangs run',
    );
    assert.equal(world.status('four', 5), 'PENDING');
    const used = [1, 2, 3, 4].flatMap((id) => {
      const ranks = world.engine.job('four', id).record.placement?.ranks ?? [];
      assert.equal(ranks.length, 2);
      assert.notEqual(ranks[0]?.node, ranks[1]?.node);
      return ranks.flatMap(({ node, devices }) => devices.map((device) => `${node}:${device}`));
    });
    assert.equal(used.length, 32);
    assert.equal(new Set(used).size, 32);
    for (const id of [1, 2, 3, 4, 5]) assert.equal((await world.ended('four', id)).status, 'SUCCEEDED');
    const log = await world.log('four', 1);
    const ranks = world.engine.job('four', 1).record.placement?.ranks ?? [];
    const ips = ranks.map(({ node }) => world.nodes.find(node).address).join(' ');
    for (const [rank, { node, devices }] of ranks.entries()) {
      const line = `(rank ${rank}, ${node}) rank=${rank} of=2 gpus=4 devices=${devices.join(',')} ips=${ips}`;
      assert.ok(log.split('\n').includes(line), `no ${line} in: ${log}`);
    }
    assert.match(log, /task=sky-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{6}_four_1/);
  });
});
