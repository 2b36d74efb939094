import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Store,
  StoreCorruptError,
  StoreError,
  StoreVersionError,
  loadSqlEngine,
  type SqlEngine,
} from '../../../src/store';
import { encodeFrame } from '../../../src/store/frame';
import { openSnapshot } from '../../../src/store/snapshot';
import { aJob, inFolder } from './builders';
import { SimulatedDisk } from './simulatedDisk';

const SNAPSHOT = 'store.db';
const JOURNAL = 'store.journal';

/** The files of a small store, and every state it went through since its snapshot, oldest first. */
interface Sample {
  readonly snapshot: Buffer;
  readonly journal: Buffer;
  readonly states: readonly string[];
}

function stateOf(store: Store): string {
  return JSON.stringify([store.clusters(), store.recentJobs('lab', 99), store.setting('s')]);
}

describe('a damaged store', () => {
  let engine: SqlEngine;
  let fresh: Sample;
  let compacted: Sample;

  async function sample(compactFirst: boolean): Promise<Sample> {
    return inFolder(async (folder) => {
      const { store } = await Store.open(folder, { engine, now: () => 5 });
      const states = [stateOf(store)];
      if (compactFirst) {
        await store.addJob(aJob(7));
        await store.compact();
        states.splice(0, 1, stateOf(store));
      }
      const steps = [
        () => store.putCluster({ name: 'lab', definition: '{"x":"y"}' }),
        () => store.addJob(aJob(11)),
        () => store.addJobs([aJob(12), aJob(13)]),
        () => store.updateJob('uuid-11', { status: 'SETTING_UP', message: 'gr\u00fc\u00df' }),
        () => store.setSetting('s', 'v'),
        () => store.updateJob('uuid-11', { status: 'FAILED', endedAt: 9, message: undefined }),
      ];
      for (const step of steps) {
        await step();
        states.push(stateOf(store));
      }
      await store.close();
      const bytes = (name: string): Buffer => readFileSync(join(folder, name));
      return { snapshot: bytes(SNAPSHOT), journal: bytes(JOURNAL), states };
    });
  }

  before(async () => {
    engine = await loadSqlEngine();
    fresh = await sample(false);
    compacted = await sample(true);
  });

  let looks = 0;
  /** Opens files on a disk in memory; the state, or the refusal after a look that nothing was written. */
  async function outcome(files: Record<string, Buffer>): Promise<{ state?: string; error?: Error }> {
    const given = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [join('/s', name), bytes]));
    const disk = new SimulatedDisk(given);
    try {
      const { store, repair } = await Store.open('/s', { engine, disk, now: () => 6 });
      const state = stateOf(store);
      if (repair?.keptAside !== undefined) {
        assert.deepEqual((await disk.read(repair.keptAside)) ?? 'nothing', given[repair.file]);
      }
      await store.addJob(aJob(99));
      await store.close();
      // Every fourth, for time.
      if (looks++ % 4 !== 0) return { state };
      const again = await Store.open('/s', { engine, disk });
      assert.equal(again.repair, undefined, 'repaired once and for all');
      assert.notEqual(again.store.jobByUuid('uuid-99'), undefined);
      await again.store.close();
      return { state };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      assert.deepEqual(disk.files(), given);
      return { error };
    }
  }

  function flipped(bytes: Buffer, offset: number, mask: number): Buffer {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(bytes.readUInt8(offset) ^ mask, offset);
    return copy;
  }

  for (const [words, which] of [
    ['never compacted', () => fresh],
    ['compacted', () => compacted],
  ] as const) {
    it(`opens to a state it was in, whichever byte of the journal is flipped (${words})`, async function () {
      this.timeout(60_000);
      const { snapshot, journal, states } = which();
      for (let offset = 0; offset < journal.length; offset++) {
        const mask = 1 << (offset % 8);
        const { state, error } = await outcome({
          [SNAPSHOT]: snapshot,
          [JOURNAL]: flipped(journal, offset, mask),
        });
        assert.ok(
          state !== undefined && states.includes(state),
          `byte ${offset}: ${error?.message ?? state ?? ''}`,
        );
      }
    });

    it(`opens to a state it was in, wherever the journal is cut (${words})`, async function () {
      this.timeout(60_000);
      const { snapshot, journal, states } = which();
      let reached = 0;
      for (let length = 0; length <= journal.length; length++) {
        const { state } = await outcome({
          [SNAPSHOT]: snapshot,
          [JOURNAL]: journal.subarray(0, length),
        });
        const index = states.indexOf(state ?? '');
        assert.ok(index >= reached, `cut at ${length}`);
        reached = index;
      }
      assert.equal(reached, states.length - 1);
    });
  }

  it('notices every flipped byte and every cut of the snapshot', () => {
    const { snapshot } = compacted;
    for (let offset = 0; offset < snapshot.length; offset++) {
      assert.equal(openSnapshot('f', flipped(snapshot, offset, 1 << (offset % 8))), undefined);
      assert.equal(openSnapshot('f', snapshot.subarray(0, offset)), undefined);
    }
  });

  it('refuses a damaged snapshot with words, unless the journal goes back to the first day', async () => {
    for (let offset = 0; offset < compacted.snapshot.length; offset += 997) {
      const damaged = flipped(compacted.snapshot, offset, 0x10);
      const refused = await outcome({ [SNAPSHOT]: damaged, [JOURNAL]: compacted.journal });
      assert.ok(refused.error instanceof StoreCorruptError);
      const first = flipped(fresh.snapshot, offset % fresh.snapshot.length, 0x10);
      const rebuilt = await outcome({ [SNAPSHOT]: first, [JOURNAL]: fresh.journal });
      assert.equal(rebuilt.state, fresh.states.at(-1));
    }
  });

  it('goes back to the snapshot before, and loses nothing, when the last one is damaged or missing', () =>
    inFolder(async (folder) => {
      const { store } = await Store.open(folder, { engine, now: () => 5 });
      for (const id of [1, 2, 3, 4, 5]) {
        await store.addJob(aJob(id));
        if (id === 2 || id === 4) await store.compact();
      }
      const state = stateOf(store);
      await store.close();
      const names = [SNAPSHOT, JOURNAL, `${SNAPSHOT}.previous`, `${JOURNAL}.previous`];
      const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
      const snapshot = files[SNAPSHOT] ?? Buffer.alloc(0);
      for (let offset = 0; offset < snapshot.length; offset += 997) {
        const back = await outcome({ ...files, [SNAPSHOT]: flipped(snapshot, offset, 0x10) });
        assert.equal(back.state, state);
      }
      const { [SNAPSHOT]: _gone, ...without } = files;
      assert.equal((await outcome(without)).state, state);
      const damaged = { ...files, [SNAPSHOT]: flipped(snapshot, 99, 1) };
      // Every byte of the journal before: what came after may not be there without a gap, and then it is refused.
      const before = files[`${JOURNAL}.previous`] ?? Buffer.alloc(0);
      let refused = 0;
      for (let offset = 0; offset < before.length; offset++) {
        const name = `${JOURNAL}.previous`;
        const { state: found, error } = await outcome({ ...damaged, [name]: flipped(before, offset, 2) });
        if (error) refused++;
        else assert.equal(found, state, `byte ${offset}`);
      }
      assert.ok(refused > 0);
      const both = await outcome({
        ...damaged,
        [`${SNAPSHOT}.previous`]: flipped(files[`${SNAPSHOT}.previous`] ?? snapshot, 500, 1),
      });
      assert.match(both.error?.message ?? '', /its checksum is wrong/);
    }));

  it('says where a record in the middle is damaged, what was kept, and keeps the file', () =>
    inFolder(async (folder) => {
      const ends = [...compacted.journal.entries()].flatMap(([index, byte]) =>
        byte === 0x0a ? [index + 1] : [],
      );
      const third = ends[2] ?? 0;
      writeFileSync(join(folder, SNAPSHOT), compacted.snapshot);
      writeFileSync(join(folder, JOURNAL), flipped(compacted.journal, third + 40, 1));
      const { store, repair } = await Store.open(folder, { engine, now: () => Date.UTC(2026, 10, 24) });
      assert.deepEqual(repair, {
        kind: 'damaged-record',
        file: join(folder, JOURNAL),
        offset: third,
        recordsKept: 2,
        bytesDropped: compacted.journal.length - third,
        keptAside: join(folder, `${JOURNAL}.damaged-2026-11-24T00-00-00-000Z`),
      });
      assert.equal(stateOf(store), compacted.states[2]);
      await store.close();
    }));

  it('refuses files of a newer version and files that do not belong together', async () => {
    const newer = encodeFrame(
      JSON.stringify({ format: 'cluster-queue journal', version: 2, store: 'x', after: 0 }),
    );
    const { snapshot, journal } = compacted;
    const version = await outcome({ [SNAPSHOT]: snapshot, [JOURNAL]: newer });
    assert.ok(version.error instanceof StoreVersionError);
    const foreign = await outcome({ [SNAPSHOT]: snapshot, [JOURNAL]: fresh.journal });
    assert.match(foreign.error?.message ?? '', /belongs to another store/);
    const missing = await outcome({ [JOURNAL]: journal });
    assert.match(missing.error?.message ?? '', /is missing/);
    const alone = await outcome({ [SNAPSHOT]: snapshot });
    assert.equal(alone.state, compacted.states[0]);
  });
});
