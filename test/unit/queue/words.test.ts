import assert from 'node:assert/strict';
import { bytesWords } from '../../../src/queue';

describe('sizes in words', () => {
  it('have the unit that they are large enough for, and a digit more where there are few', () => {
    const of = (...sizes: number[]): string[] => sizes.map(bytesWords);
    assert.deepEqual(of(0, 1, 999, 1000, 9_940, 20_000), [
      '0 bytes',
      '1 byte',
      '999 bytes',
      '1.0 kB',
      '9.9 kB',
      '20 kB',
    ]);
    assert.deepEqual(of(1e6, 12_345_678, 5e9), ['1.0 MB', '12 MB', '5.0 GB']);
  });
});
