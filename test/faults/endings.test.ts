import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { haveSshd, type TestNode } from '../support/sshd';
import { taskOf, World } from '../support/world';
import { assertLog, Ledger } from './ledger';
import { kill, markedProcesses, noneLeft, powerOff, supervisorOf } from './processes';
import { long, pause } from './scale';

const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 8 };

describe('a job that ends badly', function () {
  if (!haveSshd) return;
  this.timeout(120_000);
  const world = new World();
  let node: TestNode;
  before(async () => {
    node = await world.nodes.add('node-a', { gpus: GPUS });
    await world.open();
    await world.cluster('c', ['node-a']);
  });
  after(() => world.close());

  const rank = (id: number): string => `${world.engine.job('c', id).record.uuid}-0`;
  const running = async (run: string): Promise<number> => {
    const { id } = await world.submit('c', `resources: {accelerators: "V100:8"}\nrun: |\n  ${run}\n`);
    await world.until(() => world.status('c', id) === 'RUNNING', `job ${id} runs`);
    return id;
  };
  /** Processes of the job's own that are there once it has really begun. */
  const begun = async (id: number): Promise<number[]> => {
    for (;;) {
      const found = markedProcesses(node.home, rank(id));
      if (found.some(({ command }) => command.includes('sleep'))) return found.map(({ pid }) => pid);
      await pause(20);
    }
  };

  for (const { how, run, code, words = /exit code/ } of [
    { how: 'an exit code of its own', run: 'exit 42', code: 42 },
    { how: 'exit code 255', run: 'exit 255', code: 255 },
    { how: 'a command that SIGSEGV ended', run: "bash -c 'kill -SEGV $$'", code: 139, words: /SIGSEGV/ },
    { how: 'a command that SIGABRT ended', run: "bash -c 'kill -ABRT $$'", code: 134, words: /SIGABRT/ },
    {
      how: 'SIGKILL of its own shell',
      run: 'kill -KILL $$',
      code: 137,
      words: /SIGKILL: killed from outside/,
    },
    { how: 'SIGTERM of its own shell', run: 'kill -TERM $$; true', code: 143, words: /SIGTERM/ },
    { how: 'too little memory', run: 'ulimit -v 100000; head -c 1G /dev/zero | tail -n 1', code: 1 },
  ]) {
    it(`by ${how} is FAILED with exit code ${code}`, async () => {
      const { id } = await world.submit('c', `run: |\n  ${run}\n`);
      const record = await world.ended('c', id);
      assert.equal(record.status, 'FAILED');
      assert.deepEqual(record.exitCodes, [code]);
      assert.match(record.message ?? '', words);
      await noneLeft(node.home);
    });
  }

  it('whose processes are all killed from outside is FAILED with exit code 137', async () => {
    const id = await running('sleep 300 & sleep 301');
    for (const pid of await begun(id)) kill(pid);
    const record = await world.ended('c', id);
    assert.deepEqual([record.status, record.exitCodes], ['FAILED', [137]]);
    await noneLeft(node.home);
  });

  it('whose supervisor is killed is FAILED with an unknown exit code, and ended, and its devices are free', async () => {
    const id = await running('trap "" TERM; sleep 300');
    await begun(id);
    kill(supervisorOf(node.home, rank(id)));
    // In the long run nobody asks: the queue has to find out.
    if (!long) await world.engine.refresh('c');
    const record = await world.ended('c', id, 45_000);
    assert.deepEqual([record.status, record.exitCodes], ['FAILED', [null]]);
    assert.match(record.message ?? '', /supervisor on node-a was killed/);
    await noneLeft(node.home);
    const next = await running('true');
    assert.equal((await world.ended('c', next)).status, 'SUCCEEDED');
  });

  it('never takes a stranger along who has the number of its dead supervisor', async () => {
    const id = await running('sleep 300');
    await begun(id);
    const supervisor = supervisorOf(node.home, rank(id));
    kill(supervisor);
    const stranger = spawn('sleep', ['300'], { stdio: 'ignore', detached: true });
    const { pid } = stranger;
    assert.ok(pid);
    const file = path.join(node.home, '.cluster-queue', 'node-a', 'jobs', rank(id), 'sup');
    writeFileSync(file, readFileSync(file, 'utf8').replace(String(supervisor), String(pid)));
    await world.engine.refresh('c');
    assert.equal((await world.ended('c', id)).status, 'FAILED');
    await noneLeft(node.home);
    assert.equal(stranger.exitCode ?? stranger.signalCode, null, 'the stranger was killed');
    kill(pid);
  });

  it('keeps every one of its devices from other queues until its last process is gone, also without a supervisor', async () => {
    const ledger = new Ledger(path.join(world.home, 'leases'));
    const task = ledger.task({ owner: 'first', gpus: 8, lines: 1, seconds: 2.5 });
    const { id } = await world.submit('c', task);
    await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
    await begun(id);
    kill(supervisorOf(node.home, rank(id)));
    await world.shut();
    const home = path.join(world.home, 'other');
    const other = await Engine.open({ home, sshConfigFile: world.nodes.configFile, graceS: 1 });
    try {
      await other.addCluster({ name: 'o', nodes: [{ name: 'node-a', destination: 'node-a' }] });
      const quick = taskOf(ledger.task({ owner: 'second', gpus: 1, lines: 1, seconds: 0 }));
      const record = await other.submit(quick, { cluster: 'o', user: 'other' });
      await new Promise<void>((resolve) => {
        other.onDidChange(() => other.job('o', record.id).record.endedAt !== undefined && resolve());
      });
      ledger.assertNoOverlap();
      assert.equal(ledger.runs().length, 2);
      assert.ok(ledger.runs().every(({ end }) => end !== undefined));
    } finally {
      await other.close();
      await world.open();
    }
    assert.deepEqual((await world.ended('c', id)).exitCodes, [null]);
  });
});

describe('a node that goes down', function () {
  if (!haveSshd) return;
  this.timeout(120_000);

  it('by a power cut loses what ran, keeps what had ended and what waits, and runs none twice', async () => {
    const world = new World();
    try {
      const boot = path.join(world.home, 'boot');
      writeFileSync(boot, 'first\n');
      const node = await world.nodes.add('node-a', {
        gpus: GPUS,
        config: `ForceCommand export CLUSTER_QUEUE_BOOT_ID_FILE=${boot}; exec sh -c "$SSH_ORIGINAL_COMMAND"`,
      });
      const ledger = new Ledger(path.join(world.home, 'ledger'));
      const task = (gpus: number, seconds: number): string =>
        ledger.task({ owner: 'c', gpus, lines: 3, seconds });
      await world.open();
      await world.cluster('c', ['node-a']);
      const long = await world.submit('c', task(7, 300));
      const short = await world.submit('c', task(1, 0.5));
      const waits = await world.submit('c', task(8, 0));
      await world.until(() => world.status('c', short.id) === 'RUNNING', 'they run');
      await world.shut();
      await pause(1_200);
      powerOff(path.join(world.nodes.dir, 'node-a'), node.home);
      await node.stop();
      await noneLeft(node.home);
      writeFileSync(boot, 'second\n');
      await node.start();
      await world.open();
      const lost = await world.ended('c', long.id);
      assert.equal(lost.status, 'LOST');
      assert.match(lost.message ?? '', /node-a was restarted while the job ran/);
      assertLog(await world.log('c', long.id), long.id, 3);
      assert.deepEqual((await world.ended('c', short.id)).exitCodes, [0]);
      assert.equal((await world.ended('c', waits.id)).status, 'SUCCEEDED');
      const records = world.engine.jobs('c').map(({ record }) => record);
      assert.equal(ledger.balance('c', records).ran, 3);
      await noneLeft(node.home);
    } finally {
      await world.close();
    }
  });

  it('of whose disk a job takes the last byte still tells the exit code, also to who was not there', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const world = new World();
    const home = path.join(world.home, 'small');
    mkdirSync(home);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', home]);
    try {
      await world.nodes.add('node-a', { home });
      await world.open();
      await world.cluster('c', ['node-a']);
      const fill = 'head -c 1M /dev/zero > ~/filler; echo much; sleep 0.5; exit 5';
      const { id } = await world.submit('c', `run: |\n  sleep 0.5; ${fill}\n`);
      await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
      await world.shut();
      await pause(2_500);
      execFileSync('rm', [path.join(home, 'filler')]);
      await world.open();
      assert.deepEqual((await world.ended('c', id)).exitCodes, [5]);
      await noneLeft(home);
    } finally {
      await world.shut();
      await pause(300);
      execFileSync('umount', ['-l', home]);
      await world.close();
    }
  });
});
