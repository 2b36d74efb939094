import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Endings } from '../../../src/engine/endings';
import type { JobRecord } from '../../../src/queue';
import { loadSqlEngine, Store, StoreWriteError, type SqlEngine } from '../../../src/store';
import { aJob } from '../store/builders';
import { SimulatedDisk, systemError } from '../store/simulatedDisk';

describe('the end of a job', () => {
  let engine: SqlEngine;
  let disk: SimulatedDisk;
  let store: Store;
  let endings: Endings;
  let told: string[];
  let running: JobRecord;
  before(async () => {
    engine = await loadSqlEngine();
  });
  beforeEach(async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    disk = new SimulatedDisk();
    ({ store } = await Store.open('/s', { engine, disk }));
    await store.addJobs([aJob(1)]);
    told = [];
    endings = new Endings(store, (from, to) => told.push(`${from.status} ${to.status}`));
    running = { ...aJob(1), status: 'RUNNING', startedAt: 5 };
  });
  afterEach(async () => {
    await store.close();
    mock.timers.reset();
  });

  const fill = (): void => {
    disk.before = (operation) => {
      if (operation === 'sync') throw systemError('ENOSPC');
    };
  };
  const free = (): void => {
    disk.before = () => undefined;
  };
  const end = (): Promise<void> =>
    endings.write({ ...running, status: 'SUCCEEDED', endedAt: 9 }, { status: 'SUCCEEDED', endedAt: 9 });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const kept = async (): Promise<unknown[]> => {
    await store.close();
    ({ store } = await Store.open('/s', { engine, disk }));
    const { status, startedAt, endedAt } = store.job('lab', 1) ?? {};
    return [status, startedAt, endedAt];
  };

  it('is stored once where the disk takes it', async () => {
    await Promise.all([end(), endings.durable('uuid-1')]);
    mock.timers.tick(10_000);
    await turns();
    assert.deepEqual(told, []);
    assert.deepEqual(await kept(), ['SUCCEEDED', undefined, 9]);
  });

  it('is stored again until the disk takes it, with what was taken back before it', async () => {
    fill();
    const begun = store.updateJob('uuid-1', { status: 'RUNNING', startedAt: 5 }).catch(() => undefined);
    await assert.rejects(end(), StoreWriteError);
    await begun;
    for (let n = 0; n < 3; n++) {
      mock.timers.tick(10_000);
      await turns();
      assert.deepEqual(told, []);
    }
    free();
    mock.timers.tick(10_000);
    await turns();
    assert.deepEqual(told, ['PENDING SUCCEEDED']);
    assert.deepEqual(await kept(), ['SUCCEEDED', 5, 9]);
  });

  it('is stored at once when somebody waits for that', async () => {
    fill();
    await assert.rejects(end(), StoreWriteError);
    await assert.rejects(endings.durable('uuid-1'), StoreWriteError);
    free();
    await endings.durable('uuid-1');
    assert.deepEqual(await kept(), ['SUCCEEDED', 5, 9]);
  });

  it('is tried a last time when the queue is closed', async () => {
    fill();
    await assert.rejects(end(), StoreWriteError);
    free();
    await endings.close();
    assert.deepEqual(await kept(), ['SUCCEEDED', 5, 9]);
  });
});
