import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isFinished, type JobStatus } from '../../../src/queue/job';
import type { JobRecord } from '../../../src/queue/jobRecord';
import { loadSqlEngine, StoreConflictError } from '../../../src/store';
import type { Change } from '../../../src/store/changes';
import { Database, type Undo } from '../../../src/store/database';
import { aJob } from './builders';

const seed = Number(process.env.CLUSTER_QUEUE_SEED ?? Date.now() % 1e6);
const STATUSES: readonly JobStatus[] = ['PENDING', 'RUNNING', 'SUCCEEDED'];

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('add', 'update', 'update', 'update', 'remove', 'undo', 'export', 'read'),
    id: fc.integer({ min: 1, max: 8 }),
    others: fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
    status: fc.constantFrom(...STATUSES),
    message: fc.constantFrom('a', 'b', null),
  }),
  { maxLength: 60 },
);

describe('the state in memory', () => {
  it(`is in every read what the changes left of it (seed ${seed})`, async () => {
    const engine = await loadSqlEngine();
    fc.assert(
      fc.property(steps, (todo) => {
        let database = Database.empty(engine, 'store');
        let jobs = new Map<number, JobRecord>();
        const undos: { undo: Undo; jobs: Map<number, JobRecord> }[] = [];
        const change = (made: Change, after: Map<number, JobRecord> | undefined): void => {
          if (!after) {
            assert.throws(() => database.apply(made), StoreConflictError);
            return;
          }
          undos.push({ undo: database.apply(made), jobs });
          jobs = after;
        };
        for (const { kind, id, others, status, message } of todo) {
          const known = jobs.get(id);
          if (kind === 'add') {
            const added = [id, ...others.filter((other) => other !== id)].map((other) => aJob(other));
            const clash = added.some((job) => jobs.has(job.id));
            change(
              { op: 'addJobs', params: { jobs: added } },
              clash ? undefined : new Map([...jobs, ...added.map((job) => [job.id, job] as const)]),
            );
          } else if (kind === 'update') {
            const { message: _, ...rest } = known ?? aJob(id);
            const job = { ...rest, status, ...(message === null ? {} : { message }) };
            change(
              { op: 'updateJob', params: { uuid: `uuid-${id}`, patch: { status, message } } },
              known && new Map([...jobs, [id, job]]),
            );
          } else if (kind === 'remove') {
            const removed = [...others.filter((other) => other !== id), id];
            change(
              { op: 'removeJobs', params: { uuids: removed.map((other) => `uuid-${other}`) } },
              removed.every((other) => jobs.has(other))
                ? new Map([...jobs].filter(([other]) => !removed.includes(other)))
                : undefined,
            );
          } else if (kind === 'undo') {
            const last = undos.pop();
            last?.undo();
            jobs = last?.jobs ?? jobs;
          } else if (kind === 'export') {
            undos.length = 0;
            const bytes = database.export(1);
            database.close();
            database = Database.load(engine, Buffer.from(bytes));
          } else check(database, jobs);
        }
        check(database, jobs);
        database.close();
      }),
      { seed, numRuns: 200 },
    );
  });
});

function check(database: Database, jobs: ReadonlyMap<number, JobRecord>): void {
  const all = [...jobs.values()].sort((a, b) => a.id - b.id);
  const counts = new Map<JobStatus, number>();
  for (const { status } of all) counts.set(status, (counts.get(status) ?? 0) + 1);
  // Each of them first, in turn, for a read may do what the next one needs.
  const reads = [
    () =>
      assert.deepEqual(
        database.liveJobs(),
        all.filter(({ status }) => !isFinished(status)),
      ),
    () => assert.deepEqual(database.statuses('lab', 1, 8), counts),
    () => all.forEach((job) => assert.deepEqual(database.jobByUuid(job.uuid), job)),
    () => all.forEach((job) => assert.deepEqual(database.job('lab', job.id), job)),
    () => assert.deepEqual(database.recentJobs('lab', 10, 9), [...all].reverse()),
    () =>
      assert.equal(
        database.finishedJobs(0, 0, 10).length,
        all.filter(({ status }) => isFinished(status)).length,
      ),
  ];
  const first = all.length % reads.length;
  for (const read of [...reads.slice(first), ...reads.slice(0, first)]) read();
  for (let id = 1; id <= 8; id++)
    if (!jobs.has(id)) assert.equal(database.jobByUuid(`uuid-${id}`), undefined);
}
