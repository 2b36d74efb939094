import assert from 'node:assert/strict';
import type { NodeDefinition } from '../../../src/cluster';
import { wantKey, wantLine } from '../../../src/engine/want';
import type { JobRecord } from '../../../src/queue';

describe('the names of staged jobs', () => {
  const key = (priority: number, order: number): string => wantKey({ priority, order } as JobRecord, false);

  it('sort byte by byte as the queue does', () => {
    const inOrder: [number, number][] = [
      [1000, 7],
      [5, -3],
      [5, -2.5],
      [5, -2],
      [5, -Number.MIN_VALUE],
      [5, -0],
      [5, Number.MIN_VALUE],
      [0, -1],
      [0, 1],
      [0, 1.5],
      [0, 2 - Number.EPSILON],
      [0, 2],
      [0, 10],
      [0, 123_456],
      [-1000, 1],
    ];
    const keys = inOrder.map(([priority, order]) => key(priority, order));
    assert.deepEqual([...keys].sort(), keys);
    assert.equal(new Set(keys.map(({ length }) => length)).size, 1);
    assert.ok(keys.every((one) => /^\d{8}-[\da-f]{16}-n$/.test(one)));
  });

  it('say when a client that is on starts the job itself', () => {
    assert.match(wantKey({ priority: 0, order: 1 } as JobRecord, true), /-a$/);
  });
});

describe('what a staged job wants of a node', () => {
  const definition: NodeDefinition = {
    name: 'node-a',
    inventory: {
      cpus: 8,
      memoryMiB: 1024,
      ip: '10.0.0.1',
      devices: [
        { index: 1, name: 'V100-32GB', lease: 'GPU-b' },
        { index: 0, name: 'A100-80GB', lease: 'GPU-a' },
      ],
    },
  };
  const line = (...gpus: { name?: string; count: number }[]): string | undefined =>
    wantLine(
      { definition, id: 'box-1' },
      { numNodes: 1, alternatives: gpus.map((gpu) => ({ gpu, cpus: 0.5, memoryMiB: 2 })) },
    );

  it('lists for each alternative the devices that will do, in their order of preference', () => {
    assert.equal(
      line({ name: 'A100', count: 4 }, { count: 2 }, { name: 'V100', count: 0.5 }),
      'box-1 10.0.0.1 8000 1048576 500:2048:1000000000:4:0=GPU-a 500:2048:1000000000:2:1=GPU-b,0=GPU-a 500:2048:500000000:1:1=GPU-b',
    );
  });

  it('is nothing when the node can never run it', () => {
    assert.equal(line({ name: 'H100', count: 1 }), undefined);
    assert.equal(line({ count: 3 }), undefined);
  });
});
