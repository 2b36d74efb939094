import assert from 'node:assert/strict';
import { parseAxis, parseSweep, variantsOf } from '../../../src/task';

describe('a sweep', () => {
  it('is every combination, named by its values', () => {
    const variants = variantsOf([parseAxis('lr=1e-3,1e-4'), parseAxis('seed=1..3')]);
    assert.deepEqual(
      variants.map(({ suffix }) => suffix),
      ['lr1e-3-seed1', 'lr1e-3-seed2', 'lr1e-3-seed3', 'lr1e-4-seed1', 'lr1e-4-seed2', 'lr1e-4-seed3'],
    );
    assert.deepEqual(variants[4]?.envs, {
      lr: '1e-4',
      seed: '2',
      CLUSTER_QUEUE_INDEX: '5',
      CLUSTER_QUEUE_COUNT: '6',
    });
  });

  it('counts what is only repeated, also within a sweep', () => {
    assert.deepEqual(
      variantsOf([], 3).map(({ suffix }) => suffix),
      ['1', '2', '3'],
    );
    const { axes, repeat } = parseSweep(' a=x,y 2 ');
    assert.deepEqual(
      variantsOf(axes, repeat).map(({ suffix }) => suffix),
      ['ax-1', 'ax-2', 'ay-1', 'ay-2'],
    );
  });

  it('has ranges with steps, downwards too, and numbers jobs whose values make no name', () => {
    assert.deepEqual(parseAxis('n=0..10..5,-1..-3').values, ['0', '5', '10', '-1', '-2', '-3']);
    assert.deepEqual(
      variantsOf([parseAxis('p=a/b,a b'.replace(' ', '-'))]).map(({ suffix }) => suffix),
      ['1', '2'],
    );
  });

  it('that means nothing, or too much, is refused', () => {
    for (const text of ['lr', '=1', '1lr=2', 'lr=', 'lr=1,,2', 'lr=1,1', 'n=1..99999999', 'n=1..5..0'])
      assert.throws(() => parseAxis(text), text);
    for (const text of ['', '3 4', 'lr=1 lr']) assert.throws(() => parseSweep(text), text);
    assert.throws(
      () => variantsOf([parseAxis('a=1..101'), parseAxis('b=1..100')]),
      /10100 jobs; at most 10000/,
    );
    assert.throws(() => variantsOf([parseAxis('a=1'), parseAxis('a=2')]), /swept twice/);
    assert.throws(() => variantsOf([], 0), /whole number/);
  });
});
