import assert from 'node:assert/strict';
import { Neighbours } from '../../../src/engine/neighbours';

describe('clusters with a machine in common', () => {
  it('are neighbours, until one is gone', () => {
    const neighbours = new Neighbours();
    neighbours.met('a', 'box');
    neighbours.met('b', 'other');
    assert.deepEqual([...neighbours.of('a')], []);
    neighbours.met('b', 'box');
    neighbours.met('c', 'other');
    assert.deepEqual([...neighbours.of('a')], ['b']);
    assert.deepEqual([...neighbours.of('b')], ['a', 'c']);
    neighbours.forget('b');
    assert.deepEqual([...neighbours.of('a'), ...neighbours.of('c')], []);
    neighbours.met('d', 'box');
    assert.deepEqual([...neighbours.of('d')], ['a']);
  });
});
