import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';
import { assertLog, Ledger } from './ledger';
import { noneLeft } from './processes';
import { FaultyProxy, type Fault } from './proxy';
import { long, pause, throwDice, times } from './scale';

const LINES = 400;
const KINDS: readonly Fault['kind'][] = ['drop', 'reset', 'stall', 'half-open', 'deaf'];

describe('a connection that breaks', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  const world = new World();
  let proxy: FaultyProxy | undefined;
  after(async () => {
    await world.close();
    await proxy?.close();
  });

  it('costs no job, no log line and no second run, wherever it is cut, reset, stalled or half-open', async () => {
    const dice = throwDice('cut connections');
    const wanted = times('CUTS', 8, 300);
    const node = await world.nodes.add('node-a', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4 } });
    const ledger = new Ledger(path.join(world.home, 'ledger'));
    const faulty = await FaultyProxy.before(node, 'behind', world.nodes);
    proxy = faulty;
    await world.open();
    await world.cluster('c', ['behind']);
    const { engine } = world;

    // The handshake alone is some 5 kB; most cuts fall into what comes after it.
    faulty.plan = () => ({
      kind: dice.pick(KINDS),
      after: dice.chance(0.15)
        ? dice.whole(0, 5_000)
        : dice.whole(5_000, dice.pick([12_000, 40_000, 200_000])),
      withinMs: dice.whole(200, 3_000),
      forMs: dice.whole(50, 1_500),
    });
    faulty.breakAll();
    const workdir = path.join(world.home, 'project');
    mkdirSync(workdir);
    const mirrored = new Set<number>();
    engine.onDidChange(({ jobs }) => {
      for (const { id, placement } of jobs) {
        if (!placement || mirrored.has(id)) continue;
        mirrored.add(id);
        engine.log('c', id);
      }
    });
    const accepted: number[] = [];
    while (faulty.broken < wanted) {
      const jobs = engine.jobs('c').filter(({ record }) => record.endedAt === undefined).length;
      if (jobs < 6) {
        // New content each time, so that it has to be sent again.
        writeFileSync(path.join(workdir, 'data'), randomBytes(dice.whole(1_000, 60_000)));
        const more = dice.chance(0.5) ? `workdir: ${workdir}` : '';
        const task = ledger.task({ owner: 'c', gpus: dice.whole(1, 2), lines: LINES, seconds: 0.1, more });
        accepted.push((await world.submit('c', task)).id);
      }
      await pause(dice.whole(20, 150));
      // As the user's Refresh does: the pauses between attempts are not what is tested here.
      if (dice.chance(0.3)) void engine.refresh('c');
    }
    faulty.plan = () => undefined;
    faulty.breakAll();
    await pause(100);
    void engine.refresh('c');
    await world.until(() => !engine.busy, 'all jobs have ended', 90_000);
    const records = engine.jobs('c', 1_000_000).map(({ record }) => record);
    assert.deepEqual(new Set(records.map(({ id }) => id)), new Set(accepted));
    const { ran } = ledger.balance('c', records);
    for (const { id, status, message } of records) {
      assert.equal(status, 'SUCCEEDED', `job ${id}: ${message ?? ''}`);
      assertLog(await world.log('c', id), id, LINES);
    }
    await noneLeft(node.home);
    console.log(
      `      ${faulty.broken} of ${faulty.connections} connections broken, ${records.length} jobs, ${ran} ran`,
    );
  });
});
