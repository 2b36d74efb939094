import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { taskOf } from '../support/world';
import { Cq } from './cq';

describe('archived jobs', function () {
  this.timeout(60_000);
  const cq = new Cq();
  const log = (...parts: string[]): string => path.join(cq.home, ...parts, 'logs', 'local', '1-first.log');
  after(() => cq.close());

  it('leave the queue with their logs, and are found by cq queue --archived and cq logs', async () => {
    const history = { maxAgeDays: 90, maxJobs: 1, daysOnNodes: 14 };
    const engine = await Engine.open({ home: cq.home, history, localEnv: { HOME: cq.dir } });
    await engine.addCluster({ name: 'local', nodes: [{ name: 'here' }] });
    const gone: number[] = [];
    const shown: (() => void)[] = [];
    engine.onDidChange(({ archived = [] }) => gone.push(...archived.map(({ id }) => id)));
    for (const [name, run] of [
      ['first', 'echo one; echo two; exit 3'],
      ['second', 'echo second'],
    ]) {
      const { id } = await engine.submit(taskOf(`name: ${name ?? ''}\nrun: ${run ?? ''}`), {
        cluster: 'local',
        user: 'me',
      });
      const { mirror, release } = engine.log('local', id);
      if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(resolve));
      while (engine.busy) await new Promise<void>((resolve) => engine.onDidChange(() => resolve()));
      await engine.archive();
      assert.deepEqual(engine.view('local')?.archived, undefined, 'its log is shown');
      shown.push(release);
    }
    assert.ok(existsSync(log()));
    for (const release of shown) release();
    await engine.archive();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(gone, [1]);
    assert.ok(existsSync(log('archive')) && !existsSync(log()));
    assert.equal(engine.view('local')?.archived, 1);
    await engine.close();

    const table = await cq.run('queue', 'local');
    assert.match(table.stdout, /^2 +second[^]*1 older job is archived: cq queue --archived local\n$/m);
    assert.doesNotMatch(table.stdout, /first/);
    const archived = await cq.run('queue', 'local', '--archived');
    assert.match(archived.stdout, /^ID[^\n]*\n1 +first .* FAILED *\n$/);
    const json = JSON.parse((await cq.run('queue', '--archived', '--json')).stdout) as object;
    assert.match(JSON.stringify(json), /"id":1,.*"status":"FAILED"/);
    assert.deepEqual(await cq.run('logs', 'local', '1', '--tail', '1'), {
      code: 100,
      stdout: 'two\n',
      stderr: 'job 1 FAILED after < 1s: exit code 3\n',
    });
    const status = await cq.run('logs', 'local', '1', '--status');
    assert.match(status.stdout, /Job 1: FAILED/);
    assert.match((await cq.run('logs', 'local', '3')).stderr, /local has no job 3/);
  });

  it('whose engine was killed between the record and the log get their log moved by the next one', async () => {
    mkdirSync(path.dirname(log()), { recursive: true });
    renameSync(log('archive'), log());
    assert.equal((await cq.run('logs', 'local', '1', '--no-follow')).stdout, 'one\ntwo\n');
    const engine = await Engine.open({ home: cq.home, localEnv: { HOME: cq.dir } });
    await engine.archive();
    assert.deepEqual(
      engine.jobs('local').map(({ record }) => record.id),
      [2],
      'the limit given before still holds',
    );
    await engine.close();
    assert.ok(existsSync(log('archive')) && !existsSync(log()));
    assert.ok(existsSync(path.join(cq.home, 'logs', 'local', '2-second.log')));
    assert.equal((await cq.run('logs', 'local', '1', '--no-follow')).stdout, 'one\ntwo\n');
  });
});
