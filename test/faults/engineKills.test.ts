import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { archivedLogFileOf } from '../../src/engine';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';
import type { HostSettings } from './engineHost';
import { assertLog, Ledger } from './ledger';
import { buildProgram, noneLeft, startEngine } from './processes';
import { long, pause, throwDice, times } from './scale';

const LINES = 30;

describe('an engine that is killed', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  const world = new World();
  after(() => world.close());

  it('loses no accepted job, runs none twice, and has every log line once, wherever SIGKILL hits it', async () => {
    const dice = throwDice('engine kills');
    const kills = times('KILLS', 8, 300);
    const node = await world.nodes.add('node-a', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4 } });
    const ledger = new Ledger(path.join(world.home, 'ledger'));
    const workdir = path.join(world.home, 'project');
    mkdirSync(workdir);
    writeFileSync(path.join(workdir, 'data'), 'x'.repeat(10_000));
    await world.open();
    await world.cluster('c', ['node-a']);
    await world.shut();

    const settings: Omit<HostSettings, 'seed'> = {
      home: world.home,
      sshConfigFile: world.nodes.configFile,
      cluster: 'c',
      tasks: [
        ledger.task({ owner: 'c', gpus: 1, lines: LINES, seconds: 0.05 }),
        ledger.task({ owner: 'c', gpus: 2, lines: LINES, seconds: 0.02 }),
        ledger.task({ owner: 'c', gpus: 1, lines: LINES, seconds: 0.02, more: `workdir: ${workdir}` }),
      ],
      pauseMs: 200,
    };
    const program = buildProgram('engineHost');
    const accepted = new Set<number>();
    for (let kill = 0; kill < kills; kill++) {
      const {
        process: host,
        opened,
        gone,
      } = startEngine(program, { ...settings, seed: dice.whole(1, 2 ** 30) }, accepted);
      // Some die on the way to the open store, most after it.
      if (dice.chance(0.2)) await pause(dice.whole(50, 400));
      else {
        await Promise.race([opened, gone]);
        await pause(dice.whole(0, 1_200));
      }
      assert.equal(host.exitCode, null, 'the host ended by itself');
      host.kill('SIGKILL');
      await gone;
    }

    await world.open();
    await world.until(() => !world.engine.busy, 'all jobs have ended', 60_000 + kills * 1_000);
    await world.engine.archive();
    const archived = (await world.engine.archived('c', 1_000_000)).map(({ record }) => record);
    const stored = world.engine.jobs('c', 1_000_000).map(({ record }) => record);
    const records = [...stored, ...archived];
    assert.equal(new Set(records.map(({ id }) => id)).size, records.length, 'a job is there twice');
    const known = new Set(records.map(({ id }) => id));
    for (const id of accepted) assert.ok(known.has(id), `job ${id} was accepted and is gone`);
    const { ran } = ledger.balance('c', records);
    for (const { id, status, message } of records) {
      assert.ok(status === 'SUCCEEDED' || status === 'CANCELLED', `job ${id} is ${status}: ${message ?? ''}`);
    }
    for (const { id, status } of stored) {
      if (status === 'SUCCEEDED') assertLog(await world.log('c', id), id, LINES);
    }
    for (const record of archived) {
      if (record.status === 'SUCCEEDED')
        assertLog(readFileSync(archivedLogFileOf(world.home, record), 'utf8'), record.id, LINES);
    }
    await noneLeft(node.home);
    console.log(
      `      ${kills} kills, ${accepted.size} accepted, ${stored.length} stored, ${archived.length} archived, ${ran} ran`,
    );
  });

  it('while it made the key of the secrets opens again, and seals', async () => {
    await world.shut();
    writeFileSync(path.join(world.home, 'secrets.key'), 'torn');
    await world.open();
    const { id } = await world.submit('c', 'secrets: {TOKEN: abc}\nrun: echo "${#TOKEN}"');
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.equal(await world.log('c', id), '3\n');
  });
});
