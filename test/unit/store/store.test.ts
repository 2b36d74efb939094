import assert from 'node:assert/strict';
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { JobRecord } from '../../../src/queue/jobRecord';
import {
  Store,
  StoreClosedError,
  StoreConflictError,
  loadSqlEngine,
  type ArchiveLimits,
  type SqlEngine,
} from '../../../src/store';
import { JOB_QUERIES } from '../../../src/store/database';
import { MIGRATIONS } from '../../../src/store/schema';
import { aJob, inFolder } from './builders';

describe('the store', () => {
  let engine: SqlEngine;
  before(async () => {
    engine = await loadSqlEngine();
  });

  async function archived(store: Store, limits: ArchiveLimits): Promise<string[]> {
    return (await store.archive(limits)).map(({ uuid }) => uuid);
  }

  async function reopened(folder: string, store: Store): Promise<Store> {
    await store.close();
    const opened = await Store.open(folder, { engine });
    assert.equal(opened.repair, undefined);
    return opened.store;
  }

  it('has after a reopening what was saved before', () =>
    inFolder(async (folder) => {
      let { store } = await Store.open(folder, { engine, now: () => 77 });
      await store.putCluster({ name: 'lab', definition: '{"a":1}' });
      await store.addJobs([aJob(1), aJob(2), aJob(3)]);
      await store.updateJob('uuid-2', { status: 'RUNNING', startedAt: 5, exitCodes: [null, 1] });
      await store.setSetting('theme', 'dark');
      store = await reopened(folder, store);
      assert.deepEqual(store.clusters(), [
        { name: 'lab', definition: '{"a":1}', nextJobId: 4, createdAt: 77 },
      ]);
      const second = aJob(2, { status: 'RUNNING', startedAt: 5, exitCodes: [null, 1] });
      assert.deepEqual(store.liveJobs(), [aJob(1), second, aJob(3)]);
      assert.deepEqual(store.job('lab', 2), second);
      assert.equal(store.setting('theme'), 'dark');
      await store.close();
    }));

  it('clears a field that a patch names with undefined', () =>
    inFolder(async (folder) => {
      let { store } = await Store.open(folder, { engine });
      await store.addJob(aJob(1, { startedAt: 5, placement: { ranks: [], alternative: 0 } }));
      await store.updateJob('uuid-1', { startedAt: undefined, placement: undefined, message: 'busy' });
      assert.deepEqual(store.jobByUuid('uuid-1'), aJob(1, { message: 'busy' }));
      store = await reopened(folder, store);
      assert.deepEqual(store.jobByUuid('uuid-1'), aJob(1, { message: 'busy' }));
      await store.close();
    }));

  it('knows the jobs whose logs are still to come: ended lately, once on nodes, no size of a log', () =>
    inFolder(async (folder) => {
      const { store } = await Store.open(folder, { engine });
      const placement = { ranks: [{ node: 'n', devices: [0] }], alternative: 0 };
      const ended = { status: 'SUCCEEDED', endedAt: 2000, placement } as const;
      const { spec } = aJob(5);
      await store.addJobs([
        aJob(1, { ...ended, logBytes: 0 }),
        aJob(2, { ...ended, endedAt: 1000 }),
        aJob(3, { ...ended, status: 'CANCELLED', placement: undefined }),
        aJob(4, { status: 'RUNNING', placement }),
        // Names in a task's own values say nothing of the job.
        aJob(5, { ...ended, spec: { ...spec, envs: { logBytes: '7' } } }),
      ]);
      assert.deepEqual(
        store.logless(1500).map(({ id }) => id),
        [5],
      );
      await store.close();
    }));

  it('gives the newest jobs first, page by page', () =>
    inFolder(async (folder) => {
      const { store } = await Store.open(folder, { engine });
      await store.addJobs([1, 2, 3, 4, 5].map((id) => aJob(id, { status: id % 2 ? 'FAILED' : 'PENDING' })));
      assert.deepEqual(
        store.recentJobs('lab', 2).map(({ id }) => id),
        [5, 4],
      );
      assert.deepEqual(
        store.recentJobs('lab', 9, 4).map(({ id }) => id),
        [3, 2, 1],
      );
      assert.deepEqual(
        store.jobsByUuid(['uuid-4', 'nobody', 'uuid-1']).map(({ id }) => id),
        [4, 1],
      );
      await store.close();
    }));

  it('never gives an id twice, also after archiving and a cluster made anew', () =>
    inFolder(async (folder) => {
      let { store } = await Store.open(folder, { engine });
      await store.putCluster({ name: 'lab', definition: '{}' });
      assert.deepEqual([store.nextJobId('lab'), store.nextJobId('lab')], [1, 2]);
      await store.addJob(aJob(2, { status: 'FAILED', endedAt: 10 }));
      assert.deepEqual(await archived(store, { keepCount: 0 }), ['uuid-2']);
      assert.deepEqual(store.recentJobs('lab', 9), []);
      await store.removeCluster('lab');
      await store.compact();
      store = await reopened(folder, store);
      await store.putCluster({ name: 'lab', definition: '{}' });
      assert.equal(store.nextJobId('lab'), 3);
      await store.close();
    }));

  it('archives by age and by count, and leaves live jobs alone', () =>
    inFolder(async (folder) => {
      const { store } = await Store.open(folder, { engine, now: () => Date.UTC(2026, 10, 24) });
      const ended = Date.UTC(2026, 10, 24) - 1_000;
      await store.addJobs([
        aJob(1),
        ...[2, 3, 4].map((id) => aJob(id, { status: 'LOST', endedAt: ended + id })),
      ]);
      assert.deepEqual(await archived(store, { olderThanMs: 2_000 }), []);
      assert.deepEqual(await archived(store, { olderThanMs: 997 }), ['uuid-2']);
      assert.deepEqual(await archived(store, { keepCount: 0, except: new Set(['uuid-4']) }), ['uuid-3']);
      assert.deepEqual(await archived(store, { keepCount: 1 }), []);
      assert.ok(existsSync(join(folder, 'archive', '2026-11.db')));
      await store.close();
    }));

  it('counts by cluster what it keeps, and reads what it archived, newest first, without secrets', () =>
    inFolder(async (folder) => {
      let { store } = await Store.open(folder, { engine, now: () => Date.UTC(2026, 10, 24) });
      const done = { status: 'SUCCEEDED', endedAt: 10 } as const;
      await store.addJobs([1, 2, 3].map((id) => aJob(id, { ...done, sealedSecrets: 'sealed' })));
      await store.addJobs([1, 2].map((id) => aJob(id, { ...done, cluster: 'two', uuid: `two-${id}` })));
      assert.deepEqual(await archived(store, { keepCount: 2 }), ['uuid-1']);
      assert.deepEqual(await archived(store, { keepCount: 1 }), ['uuid-2', 'two-1']);
      store = await reopened(folder, store);
      assert.deepEqual(store.archivedCounts(), new Map(Object.entries({ lab: 2, two: 1 })));
      const read = async (limit: number, id?: number): Promise<unknown> => {
        const { jobs, damaged } = await store.archivedJobs('lab', limit, id);
        assert.deepEqual(damaged, []);
        return jobs;
      };
      assert.deepEqual(await read(9), [aJob(2, done), aJob(1, done)]);
      assert.deepEqual(await read(1), [aJob(2, done)]);
      assert.deepEqual(await read(1, 1), [aJob(1, done)]);
      assert.deepEqual(await read(1, 3), []);
      await store.close();
    }));

  it('begins another file of the archive when one has grown large, and names one that is damaged', () =>
    inFolder(async (folder) => {
      let month = 9;
      const { store } = await Store.open(folder, { engine, now: () => Date.UTC(2026, month, 24) });
      const done = (id: number): JobRecord =>
        aJob(id, { status: 'FAILED', endedAt: 1, message: 'x'.repeat(5_000_000) });
      for (const id of [1, 2, 3]) {
        await store.addJob(done(id));
        assert.deepEqual(await archived(store, { keepCount: 0 }), [`uuid-${id}`]);
      }
      month = 10;
      await store.addJob(done(4));
      await store.archive({ keepCount: 0 });
      const files = readdirSync(join(folder, 'archive')).sort();
      assert.deepEqual(files, ['2026-10.2.db', '2026-10.db', '2026-11.db']);
      const all = await store.archivedJobs('lab', 9);
      assert.deepEqual(
        all.jobs.map(({ id }) => id),
        [4, 3, 2, 1],
      );
      truncateSync(join(folder, 'archive', '2026-10.db'), 100);
      const rest = await store.archivedJobs('lab', 9);
      assert.deepEqual(
        rest.jobs.map(({ id }) => id),
        [4, 3],
      );
      assert.deepEqual(rest.damaged, [join(folder, 'archive', '2026-10.db')]);
      await store.close();
    }));

  it('refuses contradictions without a trace', () =>
    inFolder(async (folder) => {
      const { store } = await Store.open(folder, { engine });
      await store.addJob(aJob(1));
      await assert.rejects(store.addJobs([aJob(2), aJob(1)]), StoreConflictError);
      await assert.rejects(store.addJob(aJob(1, { uuid: 'another' })), StoreConflictError);
      await assert.rejects(store.updateJob('nobody', { message: '' }), StoreConflictError);
      await assert.rejects(store.removeCluster('nobody'), StoreConflictError);
      assert.deepEqual(store.liveJobs(), [aJob(1)]);
      const last = await reopened(folder, store);
      assert.deepEqual(last.liveJobs(), [aJob(1)]);
      await last.close();
      await assert.rejects(last.addJob(aJob(5)), StoreClosedError);
    }));

  it('keeps what is written while it compacts', () =>
    inFolder(async (folder) => {
      const opened = await Store.open(folder, {
        engine,
        compaction: { minJournalBytes: 2_000, journalPerSnapshot: 0 },
      });
      let { store } = opened;
      const writes: Promise<void>[] = [];
      for (let id = 1; id <= 300; id++) {
        writes.push(store.addJob(aJob(id)), store.updateJob(`uuid-${id}`, { message: `m${id}` }));
        if (id % 50 === 0) writes.push(store.compact());
        if (id % 7 === 0) await writes.at(-1);
      }
      await Promise.all(writes);
      store = await reopened(folder, store);
      assert.deepEqual(
        store.liveJobs(),
        Array.from({ length: 300 }, (_, index) => aJob(index + 1, { message: `m${index + 1}` })),
      );
      await store.close();
    }));

  it('reaches live and recent jobs by an index, however long the history', () => {
    const database = new engine.Database();
    for (const migration of MIGRATIONS) database.exec(migration);
    for (const query of Object.values(JOB_QUERIES)) {
      const [plan] = database.exec(`EXPLAIN QUERY PLAN ${query}`);
      assert.match(JSON.stringify(plan?.values), /USING INDEX/, query);
      assert.doesNotMatch(JSON.stringify(plan?.values), /TEMP B-TREE/, query);
    }
    database.close();
  });
});
