import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Paced } from '../../../src/views/paced';

describe('paced work', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('is done at once, then at intervals while it is called for, and once more for the last call', () => {
    let [now, stands] = [0, 0];
    const seen: [number, number][] = [];
    const paced = new Paced(() => seen.push([now, stands]), 250);
    const after = (ms: number): void => {
      for (const end = now + ms; now < end;) {
        now += 10;
        mock.timers.tick(10);
      }
    };
    // As jobs that end by the dozen: it must not wait for a pause.
    for (stands = 1; stands <= 60; stands++) {
      paced.call();
      after(10);
    }
    stands = 61;
    paced.call();
    after(10_000);
    assert.deepEqual(seen, [
      [0, 1],
      [250, 25],
      [500, 50],
      [750, 61],
    ]);
    paced.call();
    assert.equal(seen.length, 5);
    paced.call();
    paced.dispose();
    after(10_000);
    assert.equal(seen.length, 5);
  });
});
