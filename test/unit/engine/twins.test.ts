import assert from 'node:assert/strict';
import type { NodeDefinition } from '../../../src/cluster';
import { twinsOf } from '../../../src/engine/twins';

const node = (name: string, leases: readonly string[]): NodeDefinition => ({
  name,
  inventory: {
    cpus: 8,
    memoryMiB: 1024,
    ip: '10.0.0.1',
    devices: leases.map((lease, index) => ({ index, name: 'V100', lease })),
  },
});

describe('nodes that are one machine', () => {
  const machines = new Map([
    ['a', 'box'],
    ['b', 'other'],
    ['c', 'box'],
    ['d', 'box'],
  ]);
  const twins = (...nodes: NodeDefinition[]): unknown =>
    [...twinsOf(nodes, machines)].map(([name, { first }]) => [name, first]);

  it('are all but the first of them twins of that one', () => {
    assert.deepEqual(twins(node('a', ['g']), node('b', ['g']), node('c', ['g']), node('d', [])), [
      ['c', 'a'],
      ['d', 'a'],
    ]);
    assert.deepEqual(twins({ name: 'unknown' }, node('c', []), node('a', [])), [['a', 'c']]);
  });

  it('may each have GPUs of their own', () => {
    assert.deepEqual(twins(node('a', ['g', 'h']), node('c', ['i']), node('d', ['i'])), [['d', 'c']]);
  });
});
