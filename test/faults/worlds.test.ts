import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord } from '../../src/queue';
import { haveSshd } from '../support/sshd';
import type { World } from '../support/world';
import type { HostSettings } from './engineHost';
import { eachWorld } from './eachWorld';
import { assertLog, type Ledger } from './ledger';
import { buildProgram, noneLeft, startEngine } from './processes';
import { long, pause, throwDice, times } from './scale';

const LINES = 20;
/** The library that `faketime` preloads, by the machine's kind; undefined where there is none. */
const FAKETIME = readdirSync('/usr/lib')
  .map((name) => `/usr/lib/${name}/faketime/libfaketime.so.1`)
  .find((file) => existsSync(file));

describe('a world that is not as one would like', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  let world: World;
  let ledger: Ledger;
  eachWorld((...made) => ([world, ledger] = made));

  const balanced = async (): Promise<JobRecord[]> => {
    const records = world.engine.jobs('c', 100_000).map(({ record }) => record);
    for (const { id, status, message } of records) {
      assert.equal(status, 'SUCCEEDED', `job ${id}: ${message ?? ''}`);
    }
    ledger.balance('c', records);
    await noneLeft(world.nodes.dir);
    return records;
  };

  it('a node whose clock is a day off and stepped while jobs run tells true times, and loses nothing', async function () {
    if (FAKETIME === undefined) return this.skip();
    const rounds = times('CLOCK_STEPS', 4, 40);
    const file = path.join(world.home, 'clock');
    const step = (by: string): void => writeFileSync(file, `${by}\n`);
    step('+1d');
    await world.nodes.add('node-a', {
      env: {
        LD_PRELOAD: FAKETIME,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
    });
    await world.open();
    await world.cluster('c', ['node-a']);
    const task = ledger.task({ owner: 'c', gpus: 0, lines: LINES, seconds: 0.6, more: 'name: clock' });
    const clock = await world.submit('c', 'run: date +%s');
    await world.ended('c', clock.id);
    const told = Number(await world.log('c', clock.id)) * 1000;
    assert.ok(told - Date.now() > 80_000_000, 'its clock is a day ahead');
    for (let round = 0; round < rounds; round++) {
      const before = Date.now();
      const { id } = await world.submit('c', task);
      await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
      step(round % 2 === 0 ? '-1d' : '+1d');
      // Every other one ends while nobody watches.
      if (round % 4 > 1) {
        await world.shut();
        await pause(1_500);
        step(round % 2 === 0 ? '+1d' : '-1d');
        await world.open();
        world.engine.connect('c');
      }
      const { startedAt = 0, endedAt = 0, status } = await world.ended('c', id);
      assert.equal(status, 'SUCCEEDED');
      // Ages come in whole seconds.
      assert.ok(startedAt > before - 2_500 && endedAt < Date.now() + 2_500, 'its times are ours');
      assert.ok(endedAt - startedAt < 4_000 && endedAt - startedAt > -1_500, 'it took as long as it took');
      assertLog(await world.log('c', id), id, LINES);
    }
    const records = world.engine.jobs('c', 1_000).map(({ record }) => record);
    assert.ok(records.every(({ status }) => status === 'SUCCEEDED'));
    await noneLeft(world.nodes.dir);
    console.log(`      ${rounds} jobs, the clock set as often by two days`);
  });

  it('nodes that share one home keep their jobs of one name and one moment apart', async () => {
    const count = times('SHARED', 24, 400);
    const home = path.join(world.home, 'shared');
    mkdirSync(home);
    const names = ['node-a', 'node-b', 'node-c', 'node-d'];
    for (const name of names) {
      await world.nodes.add(name, { home, gpus: { name: 'Tesla V100-SXM2-16GB', count: 2 } });
    }
    await world.open();
    await world.cluster('c', names);
    const job = { owner: 'c', gpus: 1, lines: LINES, seconds: 0.1 };
    const workdir = path.join(world.home, 'project');
    mkdirSync(workdir);
    writeFileSync(path.join(workdir, 'data'), 'x'.repeat(1_000));
    await Promise.all(
      Array.from({ length: count }, (_, index) => {
        const more = `name: same\n${index % 4 === 0 ? `workdir: ${workdir}` : ''}${index % 6 === 1 ? 'num_nodes: 3' : ''}`;
        return world.submit('c', ledger.task({ ...job, more }));
      }),
    );
    await world.until(() => !world.engine.busy, 'all have ended', long ? 600_000 : 60_000);
    const records = await balanced();
    assert.equal(records.length, count);
    for (const { id, demand } of records) {
      const log = await world.log('c', id);
      if (demand.numNodes === 1) assertLog(log, id, LINES);
      else assert.equal(log.split('\n').length, 3 * LINES + 1);
    }
    for (const name of names) {
      const jobs = readdirSync(path.join(home, '.cluster-queue', name, 'jobs'));
      const placed = records.flatMap(({ placement, uuid }) =>
        (placement?.ranks ?? []).flatMap(({ node }, rank) => (node === name ? [`${uuid}-${rank}`] : [])),
      );
      assert.deepEqual(jobs.sort(), placed.sort());
    }
  });

  it('an extension that is updated, and set back, while jobs run takes over what the other version started', async () => {
    const dice = throwDice('updates');
    const rounds = times('UPDATES', 4, 40);
    await world.nodes.add('node-a', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4 } });
    await world.open();
    await world.cluster('c', ['node-a']);
    await world.shut();
    const settings: Omit<HostSettings, 'seed'> = {
      home: world.home,
      sshConfigFile: world.nodes.configFile,
      cluster: 'c',
      tasks: [
        ledger.task({ owner: 'c', gpus: 1, lines: LINES, seconds: 0.8 }),
        ledger.task({ owner: 'c', gpus: 2, lines: LINES, seconds: 0.1 }),
      ],
      pauseMs: 300,
      keep: true,
    };
    const versions = [buildProgram('engineHost'), buildProgram('engineHost', '# Another version.\\n')];
    const accepted = new Set<number>();
    for (let round = 0; round < rounds; round++) {
      const seed = dice.whole(1, 2 ** 30);
      const {
        process: host,
        opened,
        gone,
      } = startEngine(versions[round % 2] ?? '', { ...settings, seed }, accepted);
      await opened;
      await pause(dice.whole(600, 1_600));
      host.kill('SIGKILL');
      await gone;
    }
    const agents = readdirSync(path.join(world.nodes.dir, 'node-a', 'home', '.cluster-queue', 'agent'));
    assert.equal(agents.filter((name) => name.endsWith('.sh')).length, 2);
    await world.open();
    world.engine.connect('c');
    await world.until(() => !world.engine.busy, 'all have ended', 60_000);
    const records = world.engine.jobs('c', 100_000).map(({ record }) => record);
    const known = new Set(records.map(({ id }) => id));
    for (const id of accepted) assert.ok(known.has(id), `job ${id} was accepted and is gone`);
    ledger.balance('c', records);
    for (const { id, status, message } of records) {
      assert.ok(status === 'SUCCEEDED' || status === 'CANCELLED', `job ${id} is ${status}: ${message ?? ''}`);
      if (status === 'SUCCEEDED') assertLog(await world.log('c', id), id, LINES);
    }
    await noneLeft(world.nodes.dir);
    console.log(`      ${rounds} changes of version, ${records.length} jobs`);
  });

  it('a node whose home is read-only is given no job, says why, and is used when it can be written', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const home = path.join(world.home, 'readonly');
    mkdirSync(home);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,ro', 'tmpfs', home]);
    try {
      await world.nodes.add('node-a', { home });
      await world.open();
      await world.engine.addCluster({ name: 'c', nodes: [{ name: 'node-a', destination: 'node-a' }] });
      const task = ledger.task({ owner: 'c', gpus: 0, lines: LINES, seconds: 0 });
      const { id } = await world.submit('c', task);
      const why = (): string => world.engine.job('c', id).reason?.text ?? '';
      await world.until(() => /node-a.*Read-only file system/.test(why()), 'it says why');
      assert.equal(world.status('c', id), 'PENDING');
      execFileSync('mount', ['-o', 'remount,rw', home]);
      await world.engine.refresh('c');
      assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
      await balanced();
    } finally {
      await world.shut();
      await pause(200);
      execFileSync('umount', ['-l', home]);
    }
  });
});
