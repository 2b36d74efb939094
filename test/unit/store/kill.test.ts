import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Store, loadSqlEngine } from '../../../src/store';
import { aJob, inFolder } from './builders';
import { buildProgram, ended, start } from './processes';

const KILLS = Number(process.env.CQ_STORE_KILLS ?? 50);

describe('a killed process', () => {
  it(`loses nothing that the store acknowledged (${KILLS} kills)`, function () {
    this.timeout(60_000 + KILLS * 2_000);
    return inFolder(async (root) => {
      const program = buildProgram('storeWriter', root);
      const wasm = createRequire(resolve('package.json')).resolve('sql.js/dist/sql-wasm.wasm');
      const engine = await loadSqlEngine(wasm);
      const folder = join(root, 'store');
      const acknowledged = new Set<string>();
      let known = new Map<number, string>();
      for (let kill = 1; kill <= KILLS; kill++) {
        const child = start(program, [folder, wasm]);
        assert.ok(child.stdout);
        let output = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
        const closed = once(child.stdout, 'close');
        await Promise.race([once(child.stdout, 'data'), ended(child)]);
        // The one sleep that is the test: the moment of the kill is random.
        await sleep(Math.random() * 100);
        child.kill('SIGKILL');
        await Promise.all([ended(child), closed]);
        assert.equal(child.signalCode, 'SIGKILL');
        for (const line of output.split('\n').slice(0, -1)) acknowledged.add(line);

        const { store, repair } = await Store.open(folder, { engine });
        assert.ok(repair === undefined || repair.kind === 'torn-tail', repair?.kind);
        const stored = store.recentJobs('lab', 1_000_000);
        const { jobs: archived, damaged } = await store.archivedJobs('lab', 1_000_000);
        assert.deepEqual(damaged, []);
        const found = new Map<number, string>();
        for (const { id, status, message, ...rest } of [...stored, ...archived]) {
          assert.ok(!found.has(id), `job ${id} is there twice`);
          found.set(id, status);
          const { endedAt, ...asMade } = rest;
          assert.equal(endedAt, status === 'PENDING' ? undefined : id);
          assert.deepEqual({ ...asMade, id, status: 'PENDING' }, aJob(id));
          acknowledged.delete(`a${id}`);
          if (message === `m${id}`) acknowledged.delete(`u${id}`);
        }
        acknowledged.delete('open');
        assert.deepEqual([...acknowledged], [], `lost at kill ${kill}`);
        for (const [id, status] of known) {
          assert.equal(found.get(id), status, `job ${id} is gone or changed since the kill before`);
        }
        known = found;
        // The others end too, so that the store stays small.
        for (const { uuid, id } of store.liveJobs()) {
          void store.updateJob(uuid, { status: 'CANCELLED', endedAt: id });
          known.set(id, 'CANCELLED');
        }
        await store.close();
      }
    });
  });
});
