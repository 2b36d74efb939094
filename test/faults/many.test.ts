import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { haveSshd } from '../support/sshd';
import { taskOf, type World } from '../support/world';
import { eachWorld } from './eachWorld';
import { assertLog, type Ledger } from './ledger';
import { noneLeft } from './processes';
import { long, times } from './scale';

const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 4 };

describe('very many', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  let world: World;
  let ledger: Ledger;
  eachWorld((...made) => ([world, ledger] = made));

  it('submits in one go are all accepted, in order, and each runs once', async () => {
    const count = times('SUBMITS', 1_000, 5_000);
    const run = times('SUBMITS_RUN', 30, 1_000);
    const node = await world.nodes.add('node-a', { gpus: GPUS });
    await world.open();
    await world.cluster('c', ['node-a']);
    const task = taskOf(ledger.task({ owner: 'c', gpus: 2, lines: 1, seconds: 0 }));
    const start = performance.now();
    const records = await Promise.all(Array.from({ length: count }, () => world.submit('c', task)));
    const took = Math.round(performance.now() - start);
    assert.deepEqual(
      records.map(({ id }) => id),
      Array.from({ length: count }, (_, index) => index + 1),
    );
    await world.until(
      () => world.engine.job('c', run).record.status === 'SUCCEEDED',
      `${run} have run`,
      long ? 600_000 : 60_000,
    );
    void world.engine.cancel('c', 'all');
    await world.until(() => !world.engine.busy, 'the rest is cancelled', 60_000);
    const { ran } = ledger.balance(
      'c',
      world.engine.jobs('c', count).map(({ record }) => record),
    );
    assert.ok(ran >= run);
    await noneLeft(node.home);
    console.log(`      ${count} submits accepted in ${took} ms, ${ran} ran`);
  });

  it('jobs that run or wait are cancelled in one step, and leave nothing', async () => {
    const running = times('CANCEL_RUNNING', 10, 50);
    const waiting = times('CANCEL_WAITING', 100, 1_000);
    const node = await world.nodes.add('node-a', { gpus: { ...GPUS, count: running } });
    await world.open();
    await world.cluster('c', ['node-a']);
    // Each a tree that does not end when it is asked to.
    const task = `resources: {accelerators: "V100:1", cpus: 0.01}
run: |
  trap "" TERM
  (setsid nohup bash -c 'trap "" TERM; sleep 1000; sleep 1000' >/dev/null 2>&1 &)
  sleep 1000; sleep 1000
`;
    await Promise.all(Array.from({ length: running + waiting }, () => world.submit('c', task)));
    await world.until(
      () => world.engine.view('c')?.running === running,
      'as many run as there are GPUs',
      60_000,
    );
    const start = performance.now();
    assert.equal((await world.engine.cancel('c', 'all')).length, running + waiting);
    const took = Math.round(performance.now() - start);
    // Without waiting for the grace of what runs.
    const told = world.engine.jobs('c', running + waiting).map(({ record }) => record);
    assert.equal(told.filter(({ status }) => status === 'CANCELLED').length, waiting);
    await world.until(() => !world.engine.busy, 'all are gone', 60_000);
    await noneLeft(node.home);
    console.log(`      ${running} running and ${waiting} waiting jobs were cancelled in ${took} ms`);
  });

  it('jobs at once on one node all run, each with its log', async () => {
    const count = times('AT_ONCE', 40, 200);
    const bin = path.join(world.home, 'bin');
    mkdirSync(bin);
    writeFileSync(path.join(bin, 'nproc'), '#!/bin/sh\necho 512\n', { mode: 0o755 });
    const node = await world.nodes.add('node-a', { gpus: { ...GPUS, count }, bin });
    await world.open();
    await world.cluster('c', ['node-a']);
    const task = taskOf(ledger.task({ owner: 'c', gpus: 1, lines: 20, seconds: count / 10 }));
    let most = 0;
    world.engine.onDidChange(() => {
      const running = world.engine.jobs('c').filter(({ record }) => record.status === 'RUNNING').length;
      most = Math.max(most, running);
    });
    await Promise.all(Array.from({ length: count }, () => world.submit('c', task)));
    await world.until(() => !world.engine.busy, 'all have ended', 120_000);
    const records = world.engine.jobs('c', count).map(({ record }) => record);
    assert.ok(records.every(({ status }) => status === 'SUCCEEDED'));
    assert.equal(ledger.balance('c', records).ran, count);
    for (const { id } of records) assertLog(await world.log('c', id), id, 20);
    await noneLeft(node.home);
    assert.equal(most, count, 'all of them ran at the same time');
  });

  it('queues reach a node whose sshd allows one session and drops half of the connections', async () => {
    const engines = times('QUEUES', 5, 10);
    const node = await world.nodes.add('node-a', {
      gpus: { ...GPUS, count: 10 },
      config: 'MaxSessions 1\nMaxStartups 2:50:3',
    });
    const workdir = path.join(world.home, 'project');
    mkdirSync(workdir);
    writeFileSync(path.join(workdir, 'data'), 'x'.repeat(100_000));
    const open = await Promise.all(
      Array.from({ length: engines }, async (_, index) => {
        const home = path.join(world.home, `home-${index}`);
        const engine = await Engine.open({ home, sshConfigFile: world.nodes.configFile, graceS: 1 });
        await engine.addCluster({ name: `c${index}`, nodes: [{ name: 'node-a', destination: 'node-a' }] });
        return { owner: `c${index}`, engine };
      }),
    );
    try {
      await Promise.all(
        open.map(async ({ owner, engine }) => {
          const job = { owner, gpus: 1, lines: 5, seconds: 0.1, more: `workdir: ${workdir}` };
          await engine.submit(taskOf(ledger.task(job)), { cluster: owner, user: owner });
          await new Promise<void>((resolve) => {
            engine.onDidChange(() => !engine.busy && resolve());
          });
          const [view] = engine.jobs(owner);
          assert.ok(view);
          assert.equal(view.record.status, 'SUCCEEDED');
          assert.equal(ledger.balance(owner, [view.record]).ran, 1);
        }),
      );
    } finally {
      for (const { engine } of open) await engine.close();
    }
    await noneLeft(node.home);
  });
});
