import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FaultyProxy } from '../faults/proxy';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

const UNTIL_TOLD = 'run: while [ ! -e "$HOME/end" ]; do sleep 0.05; done\n';

describe('nodes of which one answers late', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let proxy: FaultyProxy;
  before(async () => {
    await world.nodes.add('near');
    proxy = await FaultyProxy.before(await world.nodes.add('far'), 'slow', world.nodes);
    await world.open();
    await world.cluster('c', ['near', 'slow'], 1);
    await world.shut();
  });
  after(async () => {
    proxy.thaw();
    await world.close();
    await proxy.close();
  });
  afterEach(() => world.shut());

  const GPU = 'resources: {accelerators: V100:1, cpus: 0.1}\n';
  const began = (id: number): number => world.engine.job('c', id).record.startedAt ?? 0;

  it('are waited for: a gang is not overtaken by a job that came after it', async () => {
    proxy.freeze();
    await world.open();
    const gang = await world.submit('c', `num_nodes: 2\n${GPU}run: sleep 0.2\n`);
    const small = await world.submit('c', `${GPU}run: 'true'\n`);
    await world.until(() => world.engine.view('c')?.nodes[0]?.link.state === 'up', 'one is up');
    await new Promise((resolve) => setTimeout(resolve, 300));
    proxy.thaw();
    for (const { id } of [gang, small]) assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.ok(began(gang.id) < began(small.id));
  });

  it('are not waited for long, nor by a job that any of them will do for', async () => {
    proxy.freeze();
    await world.open();
    const one = await world.submit('c', `${GPU}run: 'true'\n`);
    await world.ended('c', one.id);
    await world.submit('c', `num_nodes: 2\n${GPU}run: 'true'\n`);
    const small = await world.submit('c', `${GPU}run: 'true'\n`);
    assert.equal((await world.ended('c', small.id)).status, 'SUCCEEDED');
    assert.equal(world.engine.view('c')?.nodes[1]?.link.state, 'connecting');
  });
});

describe('the nodes of a cluster, on real sshd', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let home = '';
  before(async () => {
    ({ home } = await world.nodes.add('one'));
    await world.nodes.add('two');
    await world.open();
    await world.cluster('c', ['one']);
  });
  after(() => world.close());

  it('are drained: what runs goes on, nothing new starts, also after a restart, until that is undone', async () => {
    const running = await world.submit('c', UNTIL_TOLD);
    await world.until(() => world.status('c', running.id) === 'RUNNING', 'the first runs');
    await world.engine.changeNodes('c', { drain: ['one'] });
    const waiting = await world.submit('c', 'run: echo\n');
    assert.equal(world.status('c', running.id), 'RUNNING');
    await world.shut();
    await world.open();
    world.engine.connect('c');
    await world.until(() => world.engine.view('c')?.nodes[0]?.link.state === 'up', 'it is up again');
    assert.equal(world.engine.view('c')?.nodes[0]?.draining, true);
    assert.match(world.engine.job('c', waiting.id).reason?.text ?? '', /waiting for one, which is draining/);
    writeFileSync(path.join(home, 'end'), '');
    assert.equal((await world.ended('c', running.id)).status, 'SUCCEEDED');
    assert.equal(world.status('c', waiting.id), 'PENDING');
    await world.engine.changeNodes('c', { undrain: ['one'] });
    assert.equal((await world.ended('c', waiting.id)).status, 'SUCCEEDED');
  });

  it('are added, and used at once', async () => {
    const task = 'num_nodes: 2\nrun: echo "$CLUSTER_QUEUE_NODE_ID"\n';
    await assert.rejects(world.submit('c', task), /needs 2 nodes/);
    await world.engine.changeNodes('c', { add: [{ name: 'two', destination: 'two' }] });
    await world.engine.changeNodes('c', { add: [{ name: 'two', destination: 'two' }] });
    const gang = await world.submit('c', task);
    assert.equal((await world.ended('c', gang.id)).status, 'SUCCEEDED');
    assert.deepEqual(
      world.engine.definition('c').nodes.map(({ name }) => name),
      ['one', 'two'],
    );
  });

  it('are removed only when no job is there, and never the last one', async () => {
    await world.engine.changeNodes('c', { drain: ['one'] });
    const running = await world.submit('c', 'run: sleep 60\n');
    await world.until(() => world.status('c', running.id) === 'RUNNING', 'it runs on two');
    await assert.rejects(
      world.engine.changeNodes('c', { remove: ['two'] }),
      new RegExp(`two has job ${running.id} .*drain the node`),
    );
    void world.engine.cancel('c', [running.id]);
    await world.ended('c', running.id);
    await world.engine.changeNodes('c', { remove: ['two'], undrain: ['one'] });
    await world.shut();
    await world.open();
    assert.deepEqual(
      world.engine.view('c')?.nodes.map(({ name }) => name),
      ['one'],
    );
    await assert.rejects(world.engine.changeNodes('c', { remove: ['one'] }), /take the cluster down instead/);
    const after = await world.submit('c', 'run: echo\n');
    assert.equal((await world.ended('c', after.id)).status, 'SUCCEEDED');
  });
});

describe('a cluster that is taken down', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let home = '';
  before(async () => {
    ({ home } = await world.nodes.add('shared'));
    await world.open();
  });
  after(() => world.close());

  it('leaves nothing on its nodes, but what another cluster of the same person has there', async () => {
    const kept = (): string[] => readdirSync(path.join(home, '.cluster-queue/shared/jobs'));
    await world.cluster('first', ['shared']);
    await world.cluster('second', ['shared']);
    const ended = await world.submit('first', 'run: echo\n');
    const running = await world.submit('second', UNTIL_TOLD);
    await world.ended('first', ended.id);
    await world.until(() => world.status('second', running.id) === 'RUNNING', 'it runs');
    assert.equal(kept().length, 2);
    await world.engine.removeCluster('first');
    assert.deepEqual(kept(), [`${running.uuid}-0`]);
    writeFileSync(path.join(home, 'end'), '');
    assert.equal((await world.ended('second', running.id)).status, 'SUCCEEDED');
    await world.engine.removeCluster('second');
    // The session's own end is the last to go, and nobody waits for it.
    while (existsSync(path.join(home, '.cluster-queue')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    // And it can come back.
    await world.cluster('third', ['shared']);
    const again = await world.submit('third', 'run: echo\n');
    assert.equal((await world.ended('third', again.id)).status, 'SUCCEEDED');
  });

  it('takes no job from then on, also none whose workdir was being looked at', async () => {
    const workdir = path.join(world.home, 'workdir');
    mkdirSync(workdir);
    for (let n = 0; n < 300; n++) writeFileSync(path.join(workdir, `${n}`), `${n}`);
    await world.cluster('gone', ['shared']);
    const early = world.submit('gone', `workdir: ${workdir}\nrun: echo\n`);
    const removed = world.engine.removeCluster('gone');
    const refused = { code: 'no-cluster' };
    await Promise.all([
      assert.rejects(early, refused),
      assert.rejects(world.submit('gone', 'run: echo\n'), refused),
      assert.rejects(world.engine.removeCluster('gone'), refused),
      removed,
    ]);
    await world.cluster('gone', ['shared']);
    assert.deepEqual(world.engine.jobs('gone'), []);
    assert.equal((await world.submit('gone', `workdir: ${workdir}\nrun: echo\n`)).id, 1);
  });
});

describe('a machine that a cluster has under two names', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  before(async () => {
    const gpus = { name: 'Tesla V100-SXM2-16GB', count: 2, memoryMiB: 16384 };
    for (const name of ['nodeb', 'nodeb2']) await world.nodes.add(name, { machine: 'box', gpus });
    await world.open();
    await world.engine.addCluster({
      name: 'c',
      nodes: ['nodeb', 'nodeb2'].map((name) => ({ name, destination: name })),
    });
  });
  after(() => world.close());

  const settled = (): Promise<void> =>
    world.until(
      () => world.engine.view('c')?.nodes.every(({ link }) => ['up', 'down'].includes(link.state)) === true,
      'both were reached',
    );
  const told = (): unknown =>
    world.engine
      .view('c')
      ?.nodes.map(({ link, twinOf, usage }) => [link.state, twinOf, usage?.devices.length]);

  it('counts once, whichever name was reached first, and what wants two is refused with both names', async () => {
    await settled();
    assert.deepEqual(told(), [
      ['up', undefined, 2],
      ['down', 'nodeb', 0],
    ]);
    await assert.rejects(
      world.submit('c', 'num_nodes: 2\nrun: echo\n'),
      /needs 2 nodes .*; the cluster has 1 \(nodeb2 is the same machine as nodeb\)/,
    );
  });

  it('runs what wants one, again after a restart, and under the second name once the first is gone', async () => {
    await world.shut();
    await world.open();
    world.engine.connect('c');
    await settled();
    assert.deepEqual(told(), [
      ['up', undefined, 2],
      ['down', 'nodeb', 0],
    ]);
    const one = await world.submit('c', 'resources: {accelerators: V100:2}\nrun: echo\n');
    assert.equal((await world.ended('c', one.id)).status, 'SUCCEEDED');
    await world.engine.changeNodes('c', { remove: ['nodeb'] });
    assert.deepEqual(told(), [['up', undefined, 2]]);
    const other = await world.submit('c', 'resources: {accelerators: V100:2}\nrun: echo\n');
    assert.equal((await world.ended('c', other.id)).status, 'SUCCEEDED');
  });
});

describe('what is told of a node, on real sshd', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  before(async () => {
    const home = path.join(world.home, 'nfs');
    await world.nodes.add('a', { home, gpus: { name: 'Tesla V100-SXM2-16GB', count: 1 } });
    await world.nodes.add('b', { home });
    await world.nodes.add('c');
    await world.open();
    await world.cluster('k', ['a', 'b', 'c']);
  });
  after(() => world.close());

  it('is its driver, whose home it shares, and how it is reached', () => {
    // Nor are those that share one the same machine.
    for (const { link, twinOf } of world.engine.view('k')?.nodes ?? [])
      assert.deepEqual([link.state, twinOf], ['up', undefined]);
    const [a, b, c] = world.engine.view('k')?.nodes.map(({ about }) => about) ?? [];
    assert.deepEqual([a?.driver, a?.cuda, a?.way], ['535.104.05', '12.2', 'ssh2']);
    assert.deepEqual([a?.sharesHomeWith, b?.sharesHomeWith, c?.sharesHomeWith], [['b'], ['a'], []]);
    assert.equal(b?.driver, undefined);
    assert.equal(a?.clockAheadS, undefined);
  });
});
