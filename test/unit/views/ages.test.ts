import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Ages } from '../../../src/views/ages';

describe('rows that become older', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('are drawn again by themselves, when they say too little, and only while they can be seen', () => {
    let [now, visible] = [0, true];
    const drawn: string[] = [];
    const ages = new Ages(
      (keys) => drawn.push(`${now} ${keys.join()}`),
      () => visible,
      () => now,
    );
    const after = (ms: number): void => {
      for (const end = now + ms; now < end;) {
        now += 100;
        mock.timers.tick(100);
      }
    };
    ages.drawn('old', 3_600_000);
    ages.drawn('young', 10_000);
    ages.drawn('younger', 10_300);
    ages.drawn('none', 5_000);
    ages.drawn('none', undefined);
    after(20_000);
    // Those that are due within a second of the last time are gathered.
    assert.deepEqual(drawn, ['10000 young', '11000 younger']);
    ages.drawn('young', 40_000);
    visible = false;
    after(100_000);
    assert.equal(drawn.length, 2);
    visible = true;
    ages.look();
    assert.deepEqual(drawn.slice(2), ['120000 young']);
    after(3_600_000);
    assert.deepEqual(drawn.slice(3), ['3600000 old']);
    ages.drawn('young', now + 10_000);
    ages.dispose();
    after(20_000);
    assert.equal(drawn.length, 4);
  });
});
