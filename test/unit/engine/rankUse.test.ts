import assert from 'node:assert/strict';
import type { NodeInventory } from '../../../src/cluster';
import { rankLeases, rankUse } from '../../../src/engine/rankUse';
import type { JobDemand, Placement } from '../../../src/queue';

const demand: JobDemand = {
  numNodes: 2,
  alternatives: [
    { gpu: { name: 'V100', count: 2 }, cpus: 0.5, memoryMiB: 2 },
    { gpu: { count: 0.5 }, cpus: 4, memoryMiB: 0 },
    { cpus: 1, memoryMiB: 0 },
  ],
};
const inventory: NodeInventory = {
  cpus: 8,
  memoryMiB: 1024,
  ip: '10.0.0.1',
  devices: [
    { index: 3, name: 'V100', lease: 'GPU-c' },
    { index: 0, name: 'V100', lease: 'GPU-a' },
  ],
};
const placed = (alternative: number, ...devices: number[][]): Placement => ({
  alternative,
  ranks: devices.map((given, at) => ({ node: `node-${at}`, devices: given })),
});

describe('what a rank takes of its node', () => {
  it('is what the alternative wants that was placed, on its own devices', () => {
    const whole = { cpus: 500, kib: 2_048, units: 1_000_000_000 };
    assert.deepEqual(rankUse(demand, placed(0, [0, 3], [1, 2]), 1), {
      ...whole,
      devices: [1, 2],
      alternative: 0,
    });
    const half = { cpus: 4_000, kib: 0, units: 500_000_000 };
    assert.deepEqual(rankUse(demand, placed(1, [3]), 0), { ...half, devices: [3], alternative: 1 });
  });

  it('holds the leases of whole devices against everybody', () => {
    assert.deepEqual(rankLeases(demand, placed(0, [0, 3]), 0, inventory), ['GPU-a', 'GPU-c']);
  });

  it('shares the lease of a device that it has a part of', () => {
    assert.deepEqual(rankLeases(demand, placed(1, [0], [3]), 1, inventory), ['s:GPU-c']);
  });

  it('holds none without devices, or before it is known what the node has', () => {
    assert.deepEqual(rankLeases(demand, placed(2, []), 0, inventory), []);
    assert.deepEqual(rankLeases(demand, placed(0, [0, 3]), 0, undefined), []);
    assert.deepEqual(rankLeases(demand, placed(0, [0, 3]), 1, inventory), []);
  });

  it('holds a lease also of a device that its node has lost since', () => {
    assert.deepEqual(rankLeases(demand, placed(0, [0, 1]), 0, inventory), ['GPU-a', 'unknown-1']);
  });
});
