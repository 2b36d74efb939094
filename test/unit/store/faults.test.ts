import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import type { JobRecord } from '../../../src/queue/jobRecord';
import { Store, StoreWriteError, loadSqlEngine, type SqlEngine } from '../../../src/store';
import { aJob, inFolder } from './builders';
import { SimulatedDisk, systemError } from './simulatedDisk';

describe('the store on a failing disk', () => {
  let engine: SqlEngine;
  before(async () => {
    engine = await loadSqlEngine();
  });

  const compaction = { minJournalBytes: 2_000, journalPerSnapshot: 0 };
  const open = (disk: SimulatedDisk): ReturnType<typeof Store.open> =>
    Store.open('/s', { engine, disk, compaction, now: () => 1 });

  /** Submits jobs and changes some, in bursts; gives what was acknowledged and what was refused. */
  async function work(
    store: Store,
    bursts: readonly number[],
  ): Promise<{ kept: JobRecord[]; refused: JobRecord[] }> {
    const kept: JobRecord[] = [];
    const refused: JobRecord[] = [];
    // Three at once, so that changes also arrive while others are written.
    const lane = async (): Promise<void> => {
      for (const burst of bursts) {
        const writes = Array.from({ length: burst }, () => {
          const job = aJob(store.nextJobId('lab'));
          return store.addJob(job).then(
            () => kept.push(job),
            () => refused.push(job),
          );
        });
        await Promise.all(writes);
      }
    };
    await Promise.all([lane(), lane(), lane()]);
    kept.sort((a, b) => a.id - b.id);
    return { kept, refused };
  }

  function assertBalance(store: Store, kept: readonly JobRecord[], possible: readonly JobRecord[]): void {
    const stored = store.liveJobs();
    const known = new Map(possible.map((job) => [job.uuid, job]));
    for (const job of kept)
      assert.deepEqual(store.jobByUuid(job.uuid), job, `acknowledged ${job.uuid} is lost`);
    for (const job of stored)
      assert.deepEqual(job, known.get(job.uuid), `${job.uuid} was never submitted like this`);
  }

  it('loses nothing it acknowledged when the power is cut at any operation', function () {
    this.timeout(60_000);
    return fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 250 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        fc.boolean(),
        async (operations, bursts, numbers, windows) => {
          const disk = new SimulatedDisk();
          disk.replacesOpenFiles = !windows;
          let left = operations;
          disk.before = () => {
            if (left-- <= 0 || (left < operations - 6 && numbers.next().value % 16 === 0))
              throw systemError('EIO');
          };
          const opened = await open(disk).catch(() => undefined);
          const { kept, refused } = opened ? await work(opened.store, bursts) : { kept: [], refused: [] };
          const after = disk.afterPowerCut((n) => numbers.next().value % n);
          const { store } = await open(after);
          assertBalance(store, kept, [...kept, ...refused]);
          await store.close();
        },
      ),
      { numRuns: Number(process.env.CQ_STORE_POWER_CUTS ?? 300) },
    );
  });

  it('takes a failed change back and goes on when the disk does again', function () {
    this.timeout(60_000);
    return fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 4, maxLength: 14 }),
        fc.infiniteStream(fc.nat(9)),
        fc.boolean(),
        async (bursts, numbers, windows) => {
          const disk = new SimulatedDisk();
          disk.replacesOpenFiles = !windows;
          const { store } = await open(disk);
          disk.before = () => {
            if (numbers.next().value < 1) throw systemError('EIO');
          };
          const { kept, refused } = await work(store, bursts);
          disk.before = () => undefined;
          assert.deepEqual(store.liveJobs(), kept);
          const last = await work(store, [1]);
          assert.deepEqual(last.refused, []);
          await store.close();
          const again = await open(disk);
          assert.equal(again.repair, undefined);
          assert.deepEqual(again.store.liveJobs(), [...kept, ...last.kept]);
          assert.ok(refused.every(({ uuid }) => !again.store.jobByUuid(uuid)));
          await again.store.close();
        },
      ),
      { numRuns: 150 },
    );
  });

  it('keeps out of a snapshot what has not been written yet, for it may fail', async () => {
    const disk = new SimulatedDisk();
    const { store } = await open(disk);
    await store.setSetting('first', 'write');
    let late: Promise<unknown> = Promise.resolve();
    disk.before = (operation, path) => {
      if (operation !== 'sync' || !path.endsWith('store.journal')) return;
      late = store.addJob(aJob(2)).catch((error: unknown) => error);
      disk.before = (next, file) => {
        if (next === 'write' && file.endsWith('store.journal')) throw systemError('EIO');
      };
    };
    const compacted = store.compact();
    await store.addJob(aJob(1));
    await compacted;
    assert.ok((await late) instanceof StoreWriteError);
    await store.close();
    const again = await open(disk);
    assert.deepEqual(again.store.liveJobs(), [aJob(1)]);
    await again.store.close();
  });

  it('says that the disk is full and what to do, and goes on when there is room', async () => {
    const disk = new SimulatedDisk();
    const { store } = await open(disk);
    disk.capacity = 60_000;
    const full = await store.setSetting('big', 'x'.repeat(80_000)).catch((error: unknown) => error);
    assert.ok(full instanceof StoreWriteError && full.systemCode === 'ENOSPC');
    assert.match(full.message, /store\.journal could not be written .* free some space/);
    assert.equal(store.setting('big'), undefined);
    await store.setSetting('small', 'y');
    disk.capacity = Infinity;
    await store.setSetting('big', 'z');
    await store.close();
    const again = await open(disk);
    assert.deepEqual([again.store.setting('small'), again.store.setting('big')], ['y', 'z']);
    await again.store.close();
  });

  it('keeps its balance on a full tmpfs of 1 MB', function () {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      // Only root may mount; the simulated disk above covers the same paths.
      this.skip();
    }
    this.timeout(30_000);
    return inFolder(async (folder) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder]);
      try {
        const { store } = await Store.open(folder, { engine, compaction: { minJournalBytes: 100_000 } });
        const { kept, refused } = await work(
          store,
          Array.from({ length: 20 }, () => 50),
        );
        assert.ok(
          kept.length > 100 && refused.length > 100,
          `${kept.length} kept, ${refused.length} refused`,
        );
        assert.deepEqual(store.liveJobs(), kept);
        await store.close();
        const again = await Store.open(folder, { engine });
        assert.deepEqual(again.store.liveJobs(), kept);
        await again.store.close();
      } finally {
        execFileSync('umount', [folder]);
      }
    });
  });
});
