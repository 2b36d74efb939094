import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Store, StoreWriteError, loadSqlEngine, type SqlEngine } from '../../../src/store';
import { aJob } from './builders';
import { SimulatedDisk, systemError } from './simulatedDisk';

describe('a change that is to be stored soon', () => {
  let engine: SqlEngine;
  let disk: SimulatedDisk;
  let store: Store;
  let flushes: number;
  before(async () => {
    engine = await loadSqlEngine();
  });
  beforeEach(async () => {
    // Its own clock: on a loaded machine a few turns may take longer than such a change waits.
    mock.timers.enable({ apis: ['setTimeout'] });
    disk = new SimulatedDisk();
    ({ store } = await Store.open('/s', { engine, disk }));
    await store.addJobs([aJob(1), aJob(2)]);
    flushes = 0;
    disk.before = (operation) => {
      if (operation === 'sync') flushes++;
    };
  });

  afterEach(() => mock.timers.reset());

  const MOMENT_MS = 50;
  const statuses = (of: Store): unknown[] => [1, 2].map((id) => of.job('lab', id)?.status);
  const turns = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };

  it('is there at once, and goes to the disk with the next that is urgent, before it', async () => {
    const told: string[] = [];
    const soon = [1, 2].map((id) =>
      store.updateJob(`uuid-${id}`, { status: 'RUNNING' }, 'soon').then(() => told.push(`job ${id}`)),
    );
    assert.deepEqual(statuses(store), ['RUNNING', 'RUNNING']);
    await turns(5);
    assert.deepEqual([flushes, told], [0, []]);
    await store.updateJob('uuid-2', { status: 'CANCELLED' });
    await Promise.all(soon);
    assert.equal(flushes, 1);
    await store.close();
    ({ store } = await Store.open('/s', { engine, disk }));
    assert.deepEqual(statuses(store), ['RUNNING', 'CANCELLED']);
    await store.close();
  });

  it('goes there by itself after a moment, with those that came meanwhile', async () => {
    const soon = store.updateJob('uuid-1', { status: 'RUNNING' }, 'soon');
    await turns(3);
    const another = store.updateJob('uuid-2', { status: 'RUNNING' }, 'soon');
    mock.timers.tick(MOMENT_MS);
    await Promise.all([soon, another]);
    assert.equal(flushes, 1);
    const next = store.updateJob('uuid-1', { status: 'SUCCEEDED' }, 'soon');
    mock.timers.tick(MOMENT_MS);
    await next;
    assert.equal(flushes, 2);
    await store.close();
  });

  it('goes there after a flush that took longer than it was to wait', async () => {
    let soon: Promise<void> | undefined;
    disk.before = (operation) => {
      if (operation !== 'sync' || soon) return;
      soon = store.updateJob('uuid-2', { status: 'SUCCEEDED' }, 'soon');
      mock.timers.tick(MOMENT_MS);
    };
    await store.updateJob('uuid-1', { status: 'RUNNING' });
    await soon;
    const next = store.updateJob('uuid-1', { status: 'SUCCEEDED' }, 'soon');
    mock.timers.tick(MOMENT_MS);
    await next;
    await store.close();
  });

  it('is lost with the power, and with nothing else: what had been stored is as it was', async () => {
    void store.updateJob('uuid-1', { status: 'RUNNING' }, 'soon');
    const after = disk.afterPowerCut(() => 0);
    const { store: again } = await Store.open('/s', { engine, disk: after });
    assert.deepEqual(statuses(again), ['PENDING', 'PENDING']);
    await again.close();
    await store.close();
  });

  it('is stored when the store is closed', async () => {
    const soon = store.updateJob('uuid-1', { status: 'RUNNING' }, 'soon');
    await store.close();
    await soon;
    const { store: again } = await Store.open('/s', { engine, disk });
    assert.deepEqual(statuses(again), ['RUNNING', 'PENDING']);
    await again.close();
  });

  it('is taken back with an urgent one that the disk did not take', async () => {
    const soon = store.updateJob('uuid-1', { status: 'RUNNING' }, 'soon').catch((error: unknown) => error);
    disk.before = (operation) => {
      if (operation === 'sync') throw systemError('EIO');
    };
    await assert.rejects(store.updateJob('uuid-2', { status: 'RUNNING' }), StoreWriteError);
    assert.ok((await soon) instanceof StoreWriteError);
    assert.deepEqual(statuses(store), ['PENDING', 'PENDING']);
    disk.before = () => undefined;
    await store.close();
  });
});
