import assert from 'node:assert/strict';
import type { NodeDefinition } from '../../../src/cluster';
import { clusterView, type ShownNodes } from '../../../src/engine/clusterView';
import { Scheduler } from '../../../src/queue';

const devices = [0, 1].map((index) => ({ index, name: 'V100', lease: `GPU-${index}` }));
const met: NodeDefinition = {
  name: 'a',
  destination: 'a.lab',
  inventory: { cpus: 8, memoryMiB: 1024, ip: '10.0.0.1', devices },
};
const nodes: ShownNodes = {
  definition: { name: 'lab', nodes: [met, { name: 'b' }], launch: { step: { name: 'files' } } },
  about: () => undefined,
  twinOf: (node) => (node === 'b' ? 'a' : undefined),
  linkState: () => ({ state: 'up' }),
  elsewhere: () => ({ by: 'job 3 of cluster other', free: 0.5 }),
};

describe('the view of a cluster', () => {
  const scheduler = new Scheduler();
  scheduler.setNode({ id: 'a', cpus: 8, memoryMiB: 1024, devices });
  scheduler.setNodeState('a', 'up');
  const alternatives = [{ gpu: { count: 1 }, cpus: 1, memoryMiB: 0 }];
  scheduler.submit({ id: 'u', order: 1, priority: 0, demand: { numNodes: 1, alternatives }, label: 'job 7' });
  const [start] = scheduler.takeStarts();
  const labels = new Map([['u', 'job 7']]);
  const view = clusterView(nodes, scheduler, { labels, pending: 4, staged: 2, running: 1 });

  it('says what is where, by the names that people know', () => {
    const [a, b] = view.nodes;
    const given = start?.placement.ranks[0]?.devices;
    assert.deepEqual(a?.usage?.jobs, ['job 7']);
    for (const { index, jobs } of a.usage.devices)
      assert.deepEqual(jobs, given?.includes(index) === true ? ['job 7'] : []);
    assert.equal(a.destination, 'a.lab');
    assert.deepEqual(b, { name: 'b', link: { state: 'up' }, virtual: false, twinOf: 'a' });
    assert.deepEqual([view.name, view.local, view.launch], ['lab', false, { name: 'files' }]);
    assert.deepEqual([view.pending, view.staged, view.running], [4, 2, 1]);
  });

  it('says who else has a device, unless this cluster has it', () => {
    for (const { jobs, foreign, free } of view.nodes[0]?.usage?.devices ?? [])
      assert.deepEqual([foreign, free], jobs.length > 0 ? [undefined, 0] : ['job 3 of cluster other', 0.5]);
  });
});
