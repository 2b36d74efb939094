import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { QueueError } from '../../src/engine';
import { isFinished } from '../../src/queue';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';
import { Ledger } from './ledger';
import { long, pause, throwDice, times, type Dice } from './scale';
import { assertLogs, nothingLeft } from './stagedWorld';

const LINES = 3;
const GPU = { name: 'Tesla V100-SXM2-16GB', count: 1 };

/** One node with one GPU, and a job that holds it until it is told to end. */
interface Lane {
  readonly name: string;
  readonly fifo: number;
}

describe('a staged job in the very moment of its start', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  const world = new World();
  const ledger = new Ledger(path.join(world.home, 'ledger'));
  const lanes: Lane[] = [];
  before(async () => {
    await world.open();
    for (let lane = 0; lane < 6; lane++) {
      const name = `lane-${lane}`;
      const { home } = await world.nodes.add(name, { gpus: GPU });
      const file = path.join(home, 'go');
      execFileSync('mkfifo', [file]);
      await world.cluster(name, [name]);
      // Both ends: what is written stays until the job reads it.
      lanes.push({ name, fifo: openSync(file, 'r+') });
    }
  });
  after(async () => {
    for (const { fifo } of lanes) closeSync(fifo);
    await world.close();
  });

  /** A job that holds the GPU, and one that is staged behind it; resolves with their numbers when it is. */
  const ready = async ({ name }: Lane): Promise<{ holds: number; waits: number }> => {
    const blocker = 'resources: {accelerators: "V100:1"}\nrun: read -r line <~/go\n';
    const { id: holds } = await world.submit(name, blocker);
    const { id: waits } = await world.submit(
      name,
      ledger.task({ owner: name, gpus: 1, lines: LINES, seconds: 0 }),
    );
    await world.until(
      () =>
        world.status(name, holds) === 'RUNNING' &&
        /staged on/.test(world.engine.job(name, waits).reason?.text ?? ''),
      `${name} is ready`,
    );
    return { holds, waits };
  };
  const go = ({ fifo }: Lane): void => void writeSync(fifo, '\n');

  /** What a user may do to a waiting job; one that has just started is not refused for anything else. */
  const meddle = async ({ name }: Lane, id: number, dice: Dice): Promise<string> => {
    const { engine } = world;
    const what = dice.pick(['cancel', 'hold', 'move', 'priority', 'drain'] as const);
    try {
      if (what === 'cancel') await engine.cancel(name, [id]);
      else if (what === 'hold') await engine.reorder(name, id, { held: true });
      else if (what === 'move') await engine.reorder(name, id, { move: 'first' });
      else if (what === 'priority') await engine.reorder(name, id, { priority: dice.whole(1, 9) });
      else await engine.changeNodes(name, { drain: [name] });
    } catch (error) {
      if (!(error instanceof QueueError) || error.code !== 'not-waiting') throw error;
    }
    return what;
  };

  it('is either started once or back, whatever is done to it, and when an engine returns', async () => {
    const dice = throwDice('races');
    const wanted = times('RACES', 24, 1_020);
    const done = new Map<string, number>();
    let started = 0;
    let races = 0;
    while (races < wanted) {
      const jobs = await Promise.all(lanes.map(async (lane) => ({ lane, ...(await ready(lane)) })));
      const count = (what: string): void => void done.set(what, (done.get(what) ?? 0) + 1);
      if (dice.chance(0.5)) {
        // From the first byte of a connection to some time after the nodes were asked: some 0.3 s on a quiet machine.
        await world.shut();
        const goes = Promise.all(
          lanes.map(async (lane) => {
            await pause(dice.whole(0, 900));
            go(lane);
            count('return');
          }),
        );
        await world.open();
        for (const { name } of lanes) world.engine.connect(name);
        await goes;
      } else {
        await Promise.all(
          jobs.map(async ({ lane, waits }) => {
            const wait = dice.whole(0, 60);
            const before = dice.chance(0.3);
            if (!before) go(lane);
            // From the end of the one to the begin of the other: ten milliseconds and more.
            await pause(wait / 2);
            count(await meddle(lane, waits, dice));
            if (before) go(lane);
          }),
        );
      }
      races += lanes.length;
      for (const { lane, holds, waits } of jobs) {
        const { name } = lane;
        const { engine } = world;
        if (engine.definition(name).nodes.some(({ draining }) => draining === true))
          await engine.changeNodes(name, { undrain: [name] });
        if (engine.job(name, waits).record.held === true && !isFinished(world.status(name, waits)))
          await engine.reorder(name, waits, { held: false }).catch(() => undefined);
        assert.equal((await world.ended(name, holds)).status, 'SUCCEEDED');
        const { status, message } = await world.ended(name, waits);
        assert.ok(
          status === 'SUCCEEDED' || status === 'CANCELLED',
          `job ${waits} of ${name} is ${status}: ${message ?? ''}`,
        );
        const ran = ledger.runs().filter(({ rank }) => rank === `${name}/${waits}/0`).length;
        assert.ok(status === 'SUCCEEDED' ? ran === 1 : ran <= 1, `job ${waits} of ${name} ran ${ran} times`);
        started += ran;
      }
    }
    for (const { name } of lanes) {
      const records = world.engine
        .jobs(name, 1_000_000)
        .map(({ record }) => record)
        // The others hold the GPU and write no account.
        .filter(({ id }) => id % 2 === 0);
      ledger.balance(name, records);
      await assertLogs(world, name, records, LINES);
    }
    await nothingLeft(
      world,
      lanes.map(({ name }) => path.join(world.nodes.dir, name, 'home')),
    );
    const kinds = [...done].map(([what, number]) => `${number} × ${what}`).join(', ');
    console.log(`      ${races} races (${kinds}), ${started} ran`);
  });
});
