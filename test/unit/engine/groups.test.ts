import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Groups, LARGE_GROUP } from '../../../src/engine/groups';
import { JOB_STATUSES, isFinished, type JobRecord, type JobStatus } from '../../../src/queue';

describe('what the jobs of groups do', () => {
  const group = (size: number): NonNullable<JobRecord['group']> => ({ id: 1, name: 'sweep', size });
  /** A store of one group, and the groups that count it. */
  const counted = (statuses: readonly JobStatus[], size = statuses.length) => {
    const stored = new Map(statuses.map((status, index) => [index + 1, status]));
    let reads = 0;
    const groups = new Groups((first, number) => {
      reads++;
      const counts = new Map<JobStatus, number>();
      for (const [id, status] of stored)
        if (id >= first && id < first + number) counts.set(status, (counts.get(status) ?? 0) + 1);
      return counts;
    });
    const job = (id: number): JobRecord =>
      ({ id, status: stored.get(id) ?? 'PENDING', group: group(size) }) as JobRecord;
    return { stored, groups, job, reads: () => reads };
  };

  it('is the same, however it came about, as counting them all', () => {
    const status = fc.constantFrom(...JOB_STATUSES);
    fc.assert(
      fc.property(
        fc.array(status, { minLength: 1, maxLength: 12 }),
        fc.array(fc.tuple(fc.nat(11), fc.option(status, { nil: undefined })), { maxLength: 30 }),
        fc.boolean(),
        (statuses, moves, large) => {
          const size = large ? LARGE_GROUP + 1 : statuses.length;
          const { stored, groups, job } = counted(statuses, size);
          for (const id of stored.keys()) groups.meet(job(id));
          for (const [index, now] of moves) {
            const before = stored.get(index + 1);
            // What has ended stays so, and may only go to the archive.
            if (!before || (isFinished(before) && now)) continue;
            const record = job(index + 1);
            if (now) stored.set(index + 1, now);
            else stored.delete(index + 1);
            groups.moved(record, before, now);
            const is = (...all: JobStatus[]): number =>
              [...stored.values()].filter((one) => all.includes(one)).length;
            const expected = {
              id: 1,
              pending: is('PENDING'),
              running: is('SETTING_UP', 'RUNNING'),
              succeeded: is('SUCCEEDED'),
              failed: is('FAILED', 'FAILED_SETUP', 'LOST'),
              cancelled: is('CANCELLED'),
            };
            const shown = large || expected.pending + expected.running > 0;
            assert.deepEqual(groups.views(), shown ? [expected] : []);
          }
        },
      ),
    );
  });

  it('is read from the store once, and of a small group only while one of its jobs lives', () => {
    const live = counted(['RUNNING', 'PENDING', 'FAILED']);
    assert.equal(live.groups.meet(live.job(3)), false, 'an ended one alone');
    assert.equal(live.groups.meet(live.job(1)), true);
    assert.equal(live.groups.meet(live.job(2)), false);
    assert.equal(live.reads(), 1);
  });

  it('is counted afresh when a change was taken back, and gone when all of it was', () => {
    const { stored, groups, job } = counted(['RUNNING', 'PENDING']);
    groups.meet(job(1));
    groups.moved(job(1), 'RUNNING', 'FAILED');
    groups.recount(group(2));
    assert.deepEqual(groups.views(), [
      { id: 1, pending: 1, running: 1, succeeded: 0, failed: 0, cancelled: 0 },
    ]);
    stored.clear();
    groups.recount(group(2));
    assert.deepEqual(groups.views(), []);
  });
});
