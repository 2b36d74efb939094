import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord } from '../../src/queue';
import { haveSshd, type TestNode } from '../support/sshd';
import { World } from '../support/world';
import type { HostSettings } from './engineHost';
import { eachWorld } from './eachWorld';
import type { Ledger } from './ledger';
import { buildProgram, jobProcesses, kill, noneLeft, powerOff, startEngine } from './processes';
import { long, pause, throwDice, times } from './scale';
import { assertLogInOrder, balanced, stagedIn } from './stagedWorld';

const LINES = 20;
const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 4 };

describe('jobs that wait on their nodes', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  let world: World;
  let ledger: Ledger;
  eachWorld((...made) => ([world, ledger] = made));

  const task = (gpus: number, seconds: number, more = ''): string =>
    ledger.task({ owner: 'c', gpus, lines: LINES, seconds, more });
  const isStaged = (id: number): boolean => /staged on/.test(world.engine.job('c', id).reason?.text ?? '');
  const open = async (): Promise<void> => {
    await world.open();
    world.engine.connect('c');
  };
  /** How many jobs have told of their end. */
  const ends = (): number => ledger.runs().filter(({ end }) => end !== undefined).length;
  const until = async (met: () => boolean, what: string, limitMs = 60_000): Promise<void> => {
    const end = Date.now() + limitMs;
    while (!met()) {
      assert.ok(Date.now() < end, `waited ${limitMs} ms until ${what}`);
      await pause(20);
    }
  };

  for (const { homes, shared } of [
    { homes: 'homes of their own', shared: false },
    { homes: 'one home', shared: true },
  ]) {
    it(`of two nodes with ${homes} run once, wherever SIGKILL hits the engine that stages and recalls them`, async () => {
      const dice = throwDice(`staging kills, ${homes}`);
      const kills = times('STAGING_KILLS', 2, 120);
      const home = path.join(world.home, 'shared');
      if (shared) mkdirSync(home);
      const nodes: TestNode[] = [];
      for (const name of ['node-a', 'node-b'])
        nodes.push(await world.nodes.add(name, { gpus: GPUS, ...(shared ? { home } : {}) }));
      const workdir = path.join(world.home, 'project');
      mkdirSync(workdir);
      writeFileSync(path.join(workdir, 'data'), 'x'.repeat(10_000));
      await world.open();
      await world.cluster('c', ['node-a', 'node-b']);
      await world.shut();
      const settings: Omit<HostSettings, 'seed'> = {
        home: world.home,
        sshConfigFile: world.nodes.configFile,
        cluster: 'c',
        tasks: [
          task(1, 0.1),
          task(2, 0.2),
          task(4, 0.1),
          task(3, 0.05, `workdir: ${workdir}`),
          task(4, 0.05, 'num_nodes: 2'),
          task(1, 0.3),
        ],
        pauseMs: 60,
        keep: true,
        meddle: 14,
      };
      const program = buildProgram('engineHost');
      const accepted = new Set<number>();
      for (let count = 0; count < kills; count++) {
        const {
          process: host,
          opened,
          gone,
        } = startEngine(program, { ...settings, seed: dice.whole(1, 2 ** 30) }, accepted);
        await Promise.race([opened, gone]);
        await pause(dice.whole(0, 2_000));
        assert.equal(host.exitCode, null, 'the host ended by itself');
        host.kill('SIGKILL');
        await gone;
        // Every other time the nodes go on alone for a while.
        if (dice.chance(0.5)) await pause(dice.whole(0, 1_000));
      }
      await open();
      await world.engine.changeNodes('c', { undrain: ['node-a', 'node-b'] });
      for (const { record } of world.engine.jobs('c', 1_000_000))
        // One that was held in the moment of its start has run.
        if (record.held === true && world.status('c', record.id) === 'PENDING')
          await world.engine.reorder('c', record.id, { held: false }).catch(() => undefined);
      const { records, ran } = await balanced(
        world,
        ledger,
        {
          cluster: 'c',
          homes: nodes.map((node) => node.home),
          lines: LINES,
        },
        60_000 + kills * 1_000,
      );
      const known = new Set(records.map(({ id }) => id));
      for (const id of accepted) assert.ok(known.has(id), `job ${id} was accepted and is gone`);
      for (const { id, status, message } of records)
        assert.ok(
          status === 'SUCCEEDED' || status === 'CANCELLED',
          `job ${id} is ${status}: ${message ?? ''}`,
        );
      console.log(`      ${kills} kills, ${accepted.size} accepted, ${records.length} stored, ${ran} ran`);
    });
  }

  it('go on while supervisors and runners are killed, and each has the status that it earned', async () => {
    const dice = throwDice('supervisor kills');
    const rounds = times('SUPERVISOR_ROUNDS', 1, 20);
    const node = await world.nodes.add('node-a', { gpus: GPUS });
    await world.open();
    await world.cluster('c', ['node-a']);
    let kills = 0;
    for (let round = 0; round < rounds; round++) {
      const records: JobRecord[] = [];
      for (let i = 0; i < 14; i++)
        records.push(await world.submit('c', task(dice.whole(1, 4), dice.pick([0.1, 0.3, 0.6]))));
      const last = records.at(-1)?.id ?? 0;
      await world.until(() => isStaged(last) || world.status('c', last) !== 'PENDING', 'the last is staged');
      await world.shut();
      for (let i = 0; i < 5; i++) {
        await pause(dice.whole(0, 400));
        const agents = jobProcesses(node.home).filter(({ command }) =>
          /\.sh (supervise|claimed|runner) /.test(command),
        );
        if (agents.length === 0) break;
        kill(dice.pick(agents).pid);
        kills++;
      }
      // What goes on by itself does; then a client comes.
      await pause(dice.whole(0, 500));
      await open();
      await world.until(() => !world.engine.busy, 'all have ended', 60_000);
    }
    const { records, ran } = await balanced(world, ledger, {
      cluster: 'c',
      homes: [node.home],
      lines: LINES,
    });
    const failed = records.filter(({ status }) => status !== 'SUCCEEDED');
    for (const { id, status, exitCodes, message } of failed) {
      assert.deepEqual([status, exitCodes], ['FAILED', [null]], `job ${id}: ${message ?? ''}`);
      assert.match(message ?? '', /supervisor on node-a was killed/);
    }
    assert.ok(failed.length <= kills, 'more failed than were hit');
    console.log(`      ${kills} kills, ${records.length} jobs, ${ran} ran, ${failed.length} failed`);
  });

  it('are taken up again by the first contact after a reboot', async () => {
    const dice = throwDice('reboots');
    const rounds = times('REBOOTS', 1, 20);
    const boot = path.join(world.home, 'boot');
    writeFileSync(boot, 'boot-0\n');
    const node = await world.nodes.add('node-a', {
      gpus: GPUS,
      config: `ForceCommand export CLUSTER_QUEUE_BOOT_ID_FILE=${boot}; exec sh -c "$SSH_ORIGINAL_COMMAND"`,
    });
    await world.open();
    await world.cluster('c', ['node-a']);
    for (let round = 1; round <= rounds; round++) {
      let last = 0;
      for (let i = 0; i < 10; i++)
        last = (await world.submit('c', task(dice.whole(1, 4), dice.pick([0.05, 0.3])))).id;
      await world.until(() => isStaged(last) || world.status('c', last) !== 'PENDING', 'the last is staged');
      await world.shut();
      await pause(dice.whole(0, 1_000));
      powerOff(path.join(world.nodes.dir, 'node-a'), node.home);
      await node.stop();
      await noneLeft(node.home);
      rmSync(path.join(world.nodes.dir, 'node-a', 'leases'), { recursive: true, force: true });
      writeFileSync(boot, `boot-${round}\n`);
      await node.start();
      const left = stagedIn(node.home).length;
      await open();
      await world.until(() => !world.engine.busy, `all have ended, of which ${left} were staged`, 60_000);
    }
    const { records, ran } = await balanced(world, ledger, {
      cluster: 'c',
      homes: [node.home],
      lines: LINES,
    });
    const lost = records.filter(({ status }) => status !== 'SUCCEEDED');
    for (const { id, status, message } of lost) {
      assert.equal(status, 'LOST', `job ${id}: ${message ?? ''}`);
      assert.match(message ?? '', /node-a was restarted while the job ran/);
    }
    assert.ok(lost.length <= 4 * rounds);
    console.log(
      `      ${rounds} reboots, ${records.length} jobs, ${ran} ran, ${lost.length} lost while they ran`,
    );
  });

  it('are neither lost nor doubled by a disk that is full at any step', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const dice = throwDice('full disk');
    const rounds = times('FULL_DISKS', 1, 25);
    const home = path.join(world.home, 'small');
    mkdirSync(home);
    // Room for what the jobs of all rounds leave there.
    const size = 2 + rounds;
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'tmpfs', home]);
    const filler = path.join(home, 'filler');
    const fill = (): void => {
      execFileSync('sh', ['-c', `head -c ${2 * size}m /dev/zero >> ${filler} || true`], { stdio: 'ignore' });
    };
    const free = (): void => rmSync(filler, { force: true });
    try {
      await world.nodes.add('node-a', { gpus: GPUS, home });
      await world.open();
      await world.cluster('c', ['node-a']);
      let fills = 0;
      for (let round = 0; round < rounds; round++) {
        const { id: blocker } = await world.submit('c', task(4, 0.5));
        await world.until(() => world.status('c', blocker) === 'RUNNING', 'the first runs');
        fill();
        const { id: waits } = await world.submit('c', task(4, 0));
        await world.until(
          () => /No space left/.test(world.engine.job('c', waits).reason?.text ?? ''),
          'the reason says it',
        );
        free();
        await world.engine.refresh('c');
        let last = 0;
        for (let i = 0; i < 8; i++) last = (await world.submit('c', task(dice.whole(1, 4), 0.1))).id;
        await world.until(
          () => isStaged(last) || world.status('c', last) !== 'PENDING',
          'the last is staged',
          40_000,
        );
        await world.shut();
        for (let i = 0; i < 3; i++, fills++) {
          await pause(dice.whole(0, 200));
          fill();
          await pause(dice.whole(50, 500));
          free();
        }
        await open();
        await world.until(() => !world.engine.busy, 'all have ended', 90_000);
      }
      const { records, ran } = await balanced(world, ledger, {
        cluster: 'c',
        homes: [home],
        lines: LINES,
        check: assertLogInOrder,
      });
      for (const { id, status, message } of records)
        assert.equal(status, 'SUCCEEDED', `job ${id}: ${message ?? ''}`);
      console.log(`      ${fills + rounds} times full, ${records.length} jobs, ${ran} ran`);
    } finally {
      await world.shut();
      await pause(300);
      execFileSync('umount', ['-l', home]);
    }
  });

  it('of two homes on one node both go on without a client, and never have a GPU at once', async () => {
    const dice = throwDice('two homes');
    const count = times('TWO_HOMES', 12, 300);
    const worlds = [world, new World()];
    try {
      const nodes: TestNode[] = [];
      for (const name of ['one', 'two'])
        nodes.push(await world.nodes.add(name, { gpus: GPUS, machine: 'box' }));
      const owners = ['one', 'two'];
      for (const [index, owner] of owners.entries()) {
        const mine = worlds[index];
        assert.ok(mine);
        await mine.open({ sshConfigFile: world.nodes.configFile });
        await mine.cluster(owner, [owner]);
      }
      await Promise.all(
        owners.map(async (owner, index) => {
          for (let i = 0; i < count; i++) {
            const gpus = dice.whole(1, 3);
            await worlds[index]?.submit(owner, ledger.task({ owner, gpus, lines: 1, seconds: 0.05 }));
          }
        }),
      );
      for (const [index, { home }] of nodes.entries()) {
        const staged = (): boolean =>
          worlds[index]?.engine
            .jobs(owners[index] ?? '', count)
            .every(
              ({ record, reason }) => record.status !== 'PENDING' || /staged on/.test(reason?.text ?? ''),
            ) === true;
        await worlds[index]?.until(staged, `all is staged in ${home}`, 60_000);
      }
      for (const each of worlds) await each.shut();
      // One of each queue may have been refused when its engine had just gone: that one waits for it.
      await until(() => ends() >= 2 * count - 2, 'all have run without a client', 60_000 + count * 1_000);
      for (const [index, owner] of owners.entries()) {
        const mine = worlds[index];
        assert.ok(mine);
        await mine.open({ sshConfigFile: world.nodes.configFile });
        mine.engine.connect(owner);
        await mine.until(() => !mine.engine.busy, 'all is known', 60_000);
        const records = mine.engine.jobs(owner, 10_000).map(({ record }) => record);
        assert.ok(records.every(({ status }) => status === 'SUCCEEDED'));
        assert.equal(ledger.balance(owner, records).ran, count);
      }
      await noneLeft(world.nodes.dir);
      const order = ledger.runs().sort((a, b) => (a.start < b.start ? -1 : 1));
      const turns = order.filter(
        ({ node, rank }, i) => node !== '' && rank.split('/')[0] !== order[i - 1]?.rank.split('/')[0],
      );
      console.log(`      ${order.length} jobs, ${turns.length} changes of owner, 0 overlaps`);
    } finally {
      await worlds[1]?.close();
    }
  });
});
