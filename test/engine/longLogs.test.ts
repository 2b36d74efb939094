import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Cq } from '../cli/cq';
import { numberedBytes, numberedLines, numberedSize, stretchesOf } from '../support/numberedLog';
import { haveSshd, type TestNode } from '../support/sshd';
import { World } from '../support/world';

const LIMIT = 8 << 20;
const LINES = 1_200_000;
const SIZE = numberedSize(LINES);

describe('a log that is longer than it may be', function () {
  if (!haveSshd) return;
  this.timeout(120_000);
  const world = new World();
  let node: TestNode;
  const logs = path.join(world.home, 'logs', 'c');
  const cq = new Cq({ CLUSTER_QUEUE_HOME: world.home, CLUSTER_QUEUE_SSH_CONFIG: world.nodes.configFile });
  before(async () => {
    node = await world.nodes.add('node-a');
    await world.open({ logs: { maxBytes: LIMIT } });
    await world.cluster('c', ['node-a']);
  });
  after(async () => {
    await world.close();
    await cq.close();
  });
  const sizeOf = (folder: string, of: RegExp): number =>
    readdirSync(folder).reduce(
      // One may go meanwhile.
      (sum, name) =>
        sum + (of.test(name) ? (statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0) : 0),
      0,
    );
  const onNode = (uuid: string): string =>
    path.join(node.home, '.cluster-queue', 'node-a', 'jobs', `${uuid}-0`);
  const complete = async (id: number): Promise<void> => {
    const { mirror, release } = world.engine.log('c', id);
    if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(resolve));
    release();
  };

  it('is shown whole to who follows it, and kept as its beginning and its end', async () => {
    const go = path.join(world.nodes.dir, 'go');
    // As fast as it is read, so that nothing is dropped before.
    const step = LINES / 12;
    const lines = numberedLines(`$((i * ${step}))`, `((i + 1) * ${step})`);
    const run = `for i in {0..11}; do until [ -e ${go}$i ]; do sleep 0.01; done; ${lines}; done`;
    const { id, uuid } = await world.submit('c', `run: ${run}`);
    const { mirror, release } = world.engine.log('c', id);
    let seen = 0;
    let most = 0;
    const ended = new Promise<void>((resolve, reject) => {
      mirror.onEnd(resolve);
      // Also what a listener finds wrong.
      mirror.onTrouble(reject);
    });
    writeFileSync(`${go}0`, '');
    mirror.onAppend(({ at, bytes }) => {
      assert.equal(at, seen);
      assert.ok(bytes.equals(numberedBytes({ from: at, to: at + bytes.length })), `at ${at}`);
      seen += bytes.length;
      most = Math.max(most, sizeOf(logs, /^1-/));
      if (seen % numberedSize(step) === 0) writeFileSync(`${go}${seen / numberedSize(step)}`, '');
    });
    await ended;
    assert.equal(seen, SIZE);
    assert.ok(most <= LIMIT, `${most} bytes here`);
    assert.ok(sizeOf(onNode(uuid), /^run\.log/) <= LIMIT);
    release();
    await world.ended('c', id);
    await world.until(() => world.engine.job('c', id).record.logBytes === SIZE, 'it is known to be here');
  });

  it('is printed by cq with a line for what was dropped, its last lines alone, and as one file', async () => {
    const { stdout } = await cq.run('logs', 'c', '1', '--no-follow');
    const [head, tail] = stretchesOf(stdout);
    assert.ok(head && tail);
    assert.deepEqual([head.from, tail.to], [0, SIZE]);
    assert.ok(head.to >= LIMIT / 2 && tail.to - tail.from >= LIMIT / 4, JSON.stringify([head, tail]));
    const last = await cq.run('logs', 'c', '1', '--no-follow', '--tail', '200000');
    assert.equal(last.stdout, numberedBytes({ from: SIZE - numberedSize(200_000), to: SIZE }).toString());
    const more = await cq.run('logs', 'c', '1', '--no-follow', '--tail', '1000000');
    assert.equal(more.stdout, numberedBytes(tail).toString(), 'as far as there is anything');
    const copied = await cq.run('logs', 'c', '1', '--sync-down', cq.dir);
    assert.deepEqual(stretchesOf(readFileSync(copied.stdout.trim(), 'utf8')), [head, tail]);
  });

  it('gives who comes late what its node has, and says the same to everybody', async () => {
    await world.shut();
    rmSync(logs, { recursive: true });
    await world.open();
    await complete(1);
    const { stdout } = await cq.run('logs', 'c', '1', '--no-follow');
    const stretches = stretchesOf(stdout);
    const [head, tail] = stretches;
    assert.ok(head && tail && stretches.length === 2, JSON.stringify(stretches));
    assert.deepEqual([head.from, tail.to], [0, SIZE]);
    assert.ok(tail.to - tail.from >= LIMIT / 2, JSON.stringify(stretches));
    assert.ok(sizeOf(logs, /^1-/) <= LIMIT);
  });

  it('goes to the archive with all its parts', async () => {
    const before = await cq.run('logs', 'c', '1', '--no-follow');
    const names = readdirSync(logs).filter((name) => name.startsWith('1-'));
    assert.ok(names.length > 2, names.join(' '));
    await world.shut();
    await world.open({ history: { maxAgeDays: 90, maxJobs: 1, daysOnNodes: 14 } });
    const { id } = await world.submit('c', 'run: echo next');
    await world.ended('c', id);
    await complete(id);
    await world.engine.archive();
    assert.deepEqual(readdirSync(logs), [`${id}-sky-cmd.log`]);
    assert.deepEqual(readdirSync(path.join(world.home, 'archive', 'logs', 'c')).sort(), names.sort());
    assert.deepEqual((await cq.run('logs', 'c', '1', '--no-follow')).stdout, before.stdout);
  });
});
