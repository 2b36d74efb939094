import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine } from '../../src/engine';
import type { JobRecord } from '../../src/queue';
import { haveSshd, type TestNode } from '../support/sshd';
import { taskOf, World } from '../support/world';
import { Ledger } from './ledger';
import { jobProcesses, noneLeft, powerOff } from './processes';
import { FaultyProxy } from './proxy';
import { long, pause } from './scale';

const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 4 };

describe('a gang of two ranks', function () {
  if (!haveSshd) return;
  this.timeout(120_000);
  const world = new World();
  const ledger = new Ledger(path.join(world.home, 'ledger'));
  const boot = path.join(world.home, 'boot');
  let first: TestNode;
  let second: TestNode;
  let toFirst: FaultyProxy;
  let toSecond: FaultyProxy;
  before(async () => {
    writeFileSync(boot, 'boot-1\n');
    const config = `ForceCommand export CLUSTER_QUEUE_BOOT_ID_FILE=${boot} CLUSTER_QUEUE_GO_TIMEOUT=3; exec sh -c "$SSH_ORIGINAL_COMMAND"`;
    first = await world.nodes.add('node-a', { gpus: GPUS, config });
    second = await world.nodes.add('node-b', { gpus: GPUS });
    toFirst = await FaultyProxy.before(first, 'a', world.nodes);
    toSecond = await FaultyProxy.before(second, 'b', world.nodes);
    await world.open();
    await world.cluster('c', ['a', 'b']);
  });
  after(async () => {
    await world.close();
    await toFirst.close();
    await toSecond.close();
  });

  const gang = (run?: string): Promise<JobRecord> =>
    world.submit(
      'c',
      run === undefined
        ? ledger.task({ owner: 'c', gpus: 4, lines: 2, seconds: 0.1, more: 'num_nodes: 2' })
        : `num_nodes: 2\nresources: {accelerators: "V100:4"}\nrun: |\n  ${run}\n`,
    );
  const balanced = async (): Promise<void> => {
    ledger.balance(
      'c',
      world.engine.jobs('c').map(({ record }) => record),
    );
    await noneLeft(first.home);
    await noneLeft(second.home);
  };
  /** Waits until a rank on this node has begun to wait for its go. */
  const held = async (node: TestNode, uuid: string): Promise<void> => {
    while (!jobProcesses(node.home).some(({ command }) => command.includes(uuid))) await pause(20);
    await pause(300);
  };

  it('fails whole when a rank dies at once, and leaves nothing of the other', async () => {
    const { id } = await gang('[ "$SKYPILOT_NODE_RANK" = 0 ] && exit 9; trap "" TERM; sleep 300');
    const record = await world.ended('c', id);
    assert.equal(record.status, 'FAILED');
    assert.match(record.message ?? '', /rank 0 \(a\) failed first with exit code 9/);
    await balanced();
  });

  it('whose rank hangs is ended whole by cancel', async () => {
    const { id } = await gang(
      '[ "$SKYPILOT_NODE_RANK" = 0 ] && exit 0; trap "" TERM HUP; while :; do sleep 300; done',
    );
    await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
    await pause(200);
    void world.engine.cancel('c', [id]);
    assert.equal((await world.ended('c', id)).status, 'CANCELLED');
    await balanced();
  });

  it('does not begin while one of its ranks cannot, and begins when it can', async () => {
    const home = path.join(world.home, 'other');
    const other = await Engine.open({ home, sshConfigFile: world.nodes.configFile, graceS: 1 });
    try {
      await other.addCluster({ name: 'o', nodes: [{ name: 'node-b', destination: 'node-b' }] });
      const blocker = ledger.task({ owner: 'o', gpus: 1, lines: 1, seconds: 1.5 });
      const { id: block } = await other.submit(taskOf(blocker), { cluster: 'o', user: 'other' });
      await new Promise<void>((resolve) => {
        other.onDidChange(() => other.job('o', block).record.status === 'RUNNING' && resolve());
      });
      const { id } = await gang();
      assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
      await balanced();
    } finally {
      await other.close();
    }
  });

  // A node whose disk was full is tried again after fifteen seconds: too long for every day.
  const rarely = long ? it : (): void => undefined;
  rarely('waits in the queue while the disk of a rank is full', async function (this: Mocha.Context) {
    if (process.getuid?.() !== 0) return this.skip();
    const jobs = path.join(second.home, '.cluster-queue', 'node-b', 'jobs');
    rmSync(jobs, { recursive: true });
    mkdirSync(jobs);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', jobs]);
    try {
      execFileSync('sh', ['-c', `head -c 64k /dev/zero > ${jobs}/filler || true`], { stdio: 'ignore' });
      const { id } = await gang();
      await world.until(
        () => (world.engine.job('c', id).reason?.text ?? '').includes('No space left'),
        'the reason says so',
      );
      assert.equal(world.status('c', id), 'PENDING');
      await noneLeft(first.home);
      execFileSync('umount', ['-l', jobs]);
      assert.equal((await world.ended('c', id, 30_000)).status, 'SUCCEEDED');
    } finally {
      execFileSync('sh', ['-c', `umount -l ${jobs} 2>/dev/null || true`]);
    }
    await balanced();
  });

  it('called off before its go gives its devices back at once', async () => {
    toSecond.freeze();
    const { id, uuid } = await gang();
    await held(first, uuid);
    void world.engine.cancel('c', [id]);
    await noneLeft(first.home);
    const start = Date.now();
    const next = await world.submit('c', ledger.task({ owner: 'c', gpus: 4, lines: 1, seconds: 0 }));
    assert.equal((await world.ended('c', next.id)).status, 'SUCCEEDED');
    assert.ok(Date.now() - start < 1_500, 'its devices were still taken');
    toSecond.thaw();
    assert.equal((await world.ended('c', id)).status, 'CANCELLED');
    await balanced();
  });

  it('runs once, whole, when a node is cut off between ready and go', async () => {
    toSecond.freeze();
    const { id, uuid } = await gang();
    await held(first, uuid);
    toFirst.breakAll();
    await pause(100);
    toSecond.thaw();
    await world.engine.refresh('c');
    assert.equal((await world.ended('c', id, 30_000)).status, 'SUCCEEDED');
    await balanced();
  });

  it('fails, and is not run again, when a node that is cut off misses the go', async () => {
    toSecond.freeze();
    const { id, uuid } = await gang('sleep 300');
    await held(first, uuid);
    toFirst.freeze();
    toSecond.thaw();
    await world.until(() => world.status('c', id) === 'RUNNING', 'the other rank runs');
    await noneLeft(first.home);
    toFirst.thaw();
    const record = await world.ended('c', id);
    assert.equal(record.status, 'FAILED');
    assert.match(record.message ?? '', /rank 0 \(a\) was cut off when the others began/);
    await balanced();
  });

  it('runs once, whole, when a node is restarted between ready and go', async () => {
    toSecond.freeze();
    const { id, uuid } = await gang();
    await held(first, uuid);
    powerOff(path.join(world.nodes.dir, 'node-a'), first.home);
    await first.stop();
    writeFileSync(boot, 'boot-2\n');
    await first.start();
    toSecond.thaw();
    await world.engine.refresh('c');
    assert.equal((await world.ended('c', id, 60_000)).status, 'SUCCEEDED');
    await balanced();
  });

  it('is lost as a whole when a node is restarted while it runs, and leaves nothing on the other', async () => {
    const { id } = await gang('sleep 300');
    await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
    await pause(200);
    powerOff(path.join(world.nodes.dir, 'node-a'), first.home);
    await first.stop();
    writeFileSync(boot, 'boot-3\n');
    await first.start();
    await world.engine.refresh('c');
    const record = await world.ended('c', id, 60_000);
    assert.equal(record.status, 'LOST');
    assert.match(record.message ?? '', /a was restarted while the job ran/);
    await balanced();
  });
});
