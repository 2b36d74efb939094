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
        for (const job of store.liveJobs()) {
          assert.deepEqual(job, aJob(job.id, job.message === undefined ? {} : { message: `m${job.id}` }));
          acknowledged.delete(`a${job.id}`);
          if (job.message !== undefined) acknowledged.delete(`u${job.id}`);
        }
        acknowledged.delete('open');
        assert.deepEqual([...acknowledged], [], `lost at kill ${kill}`);
        // Done jobs go, so that the store stays small and the archive is under the same fire.
        for (const { uuid } of store.liveJobs())
          void store.updateJob(uuid, { status: 'CANCELLED', endedAt: 1 });
        await store.archive({ keepCount: 100 });
        await store.close();
      }
    });
  });
});
