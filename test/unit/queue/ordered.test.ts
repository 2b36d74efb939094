import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareJobs, Ordered, type Queued } from '../../../src/queue/ordered';
import { aJob, demand } from './builders';

const wants = demand('1xV100');
const item = (number: number, priority = 0): Queued => ({ job: aJob(number, wants, { priority }) });

describe('an ordered list of queued jobs', () => {
  it('equals a sorted array of thousands, whatever the order of changes', () => {
    const seed = Number(process.env.FAST_CHECK_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const change = fc.record({ number: fc.nat({ max: 4000 }), priority: fc.constantFrom(0, 0, 0, 1) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1500, maxLength: 3000, size: 'max' }), (changes) => {
        const list = new Ordered<Queued>();
        const expected = new Map<number, Queued>();
        // A number seen again is taken out, so that the list both grows and shrinks.
        for (const { number, priority } of changes) {
          const old = expected.get(number);
          if (old) {
            list.delete(old.job);
            expected.delete(number);
          } else {
            const added = item(number, priority);
            list.add(added);
            expected.set(number, added);
          }
        }
        const sorted = [...expected.values()].sort((a, b) => compareJobs(a.job, b.job));
        assert.equal(list.size, sorted.length);
        assert.equal(list.first, sorted[0]);
        let at: Queued | undefined;
        for (const [index, wanted] of sorted.entries()) {
          at = list.firstAfter(at?.job, () => true);
          assert.equal(at, wanted);
          assert.equal(list.position(wanted.job), index + 1);
        }
        assert.equal(
          list.firstAfter(at?.job, () => true),
          undefined,
        );
      }),
      { numRuns: 20, seed },
    );
  });

  it('finds the first past a job that is no longer there', () => {
    const list = new Ordered<Queued>();
    for (let number = 0; number < 1000; number += 2) list.add(item(number));
    assert.equal(list.firstAfter(item(499).job, () => true)?.job.order, 500);
    assert.equal(list.firstAfter(item(499).job, ({ job }) => job.order % 100 === 98)?.job.order, 598);
    assert.equal(
      list.firstAfter(undefined, ({ job }) => job.order > 2000),
      undefined,
    );
  });

  it('throws for a job that is not in it', () => {
    const list = new Ordered<Queued>();
    assert.throws(() => list.delete(item(1).job), /job 1 is not where the queue has it/);
    list.add(item(1));
    assert.throws(() => list.delete(item(2).job), /job 2/);
  });
});
