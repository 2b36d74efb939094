import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Store, StoreVersionError, loadSqlEngine, type SqlEngine } from '../../../src/store';
import { MIGRATIONS } from '../../../src/store/schema';
import { aJob, inFolder } from './builders';

// Written once by the first released format and never again: see golden/README.md.
const GOLDEN = resolve('test/unit/store/golden/v1');
const FILES = ['store.db', 'store.journal'];

describe('the versions of the store', () => {
  let engine: SqlEngine;
  before(async () => {
    engine = await loadSqlEngine();
  });

  function copyGolden(folder: string): void {
    for (const name of FILES) copyFileSync(join(GOLDEN, name), join(folder, name));
  }

  function assertGolden(store: Store): void {
    assert.deepEqual(store.clusters(), [
      { name: 'lab', definition: '{"nodes":2}', nextJobId: 5, createdAt: 1 },
    ]);
    assert.deepEqual(store.recentJobs('lab', 9), [
      aJob(4),
      aJob(3, {
        status: 'RUNNING',
        startedAt: 7,
        placement: { ranks: [{ node: 'n1', devices: [0, 1] }], alternative: 0 },
      }),
      aJob(1, { status: 'FAILED', endedAt: 9, exitCodes: [3, null], message: 'rank 0 failed' }),
    ]);
    assert.equal(store.setting('theme'), 'dark');
    assert.equal(store.setting('gone'), undefined);
  }

  it('opens the first format', () =>
    inFolder(async (folder) => {
      copyGolden(folder);
      const { store, repair } = await Store.open(folder, { engine });
      assert.equal(repair, undefined);
      assertGolden(store);
      await store.close();
    }));

  it('migrates with a copy of what was there, and is refused by the older version untouched', () =>
    inFolder(async (folder) => {
      copyGolden(folder);
      const migrations = [...MIGRATIONS, 'CREATE TABLE later (x)'];
      const { store } = await Store.open(folder, { engine, migrations });
      assertGolden(store);
      await store.close();
      for (const name of FILES) {
        assert.deepEqual(readFileSync(join(folder, `${name}.version-1`)), readFileSync(join(GOLDEN, name)));
      }
      const before = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]);
      await assert.rejects(Store.open(folder, { engine }), StoreVersionError);
      assert.deepEqual(
        readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]),
        before,
      );
    }));

  it('is left as it was by a migration that fails', () =>
    inFolder(async (folder) => {
      copyGolden(folder);
      await assert.rejects(
        Store.open(folder, { engine, migrations: [...MIGRATIONS, 'CREATE TABLE job (x)'] }),
      );
      assert.deepEqual(readdirSync(folder).sort(), FILES);
      const { store } = await Store.open(folder, { engine });
      assertGolden(store);
      await store.close();
    }));
});
