import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { haveSshd, type TestNode } from '../support/sshd';
import { taskOf, World } from '../support/world';

const V100 = { name: 'Tesla V100-SXM2-16GB', memoryMiB: 16160 };
const GPU = 'resources: {accelerators: V100, cpus: 0.1}\n';
const UNTIL_TOLD = 'run: while [ ! -e ~/end ]; do sleep 0.05; done\n';

/** What waits on a node, by name. */
function staged({ home }: TestNode): string[] {
  const folder = path.join(home, '.cluster-queue', 'staged');
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^\d/.test(name)) : [];
}

describe('a job that waits on its node, on real sshd,', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const worlds: World[] = [];
  const others: Engine[] = [];
  const opened = async (): Promise<World> => {
    const world = new World();
    worlds.push(world);
    await world.open();
    return world;
  };
  /** Another queue, of which a job has the GPU of a node. */
  const colleague = async (world: World, node: string, run: string): Promise<{ freed: Promise<number> }> => {
    const other = await Engine.open({
      home: path.join(world.home, 'other'),
      sshConfigFile: world.nodes.configFile,
      graceS: 1,
    });
    others.push(other);
    await other.addCluster({ name: 'o', nodes: [{ name: node, destination: node }] });
    const { id } = await other.submit(taskOf(`${GPU}${run}`), { cluster: 'o', user: 'other' });
    const job = (): { status: string; endedAt?: number } => other.job('o', id).record;
    await new Promise<void>((resolve) => other.onDidChange(() => job().status === 'RUNNING' && resolve()));
    const freed = new Promise<number>((resolve) => {
      other.onDidChange(() => job().endedAt !== undefined && resolve(Date.now()));
    });
    return { freed };
  };
  afterEach(async () => {
    for (const other of others.splice(0)) await other.close();
    for (const world of worlds.splice(0)) await world.close();
  });

  it('is left there by another cluster of the same queue', async () => {
    const world = await opened();
    const node = await world.nodes.add('n', { gpus: { ...V100, count: 1 } });
    await world.cluster('first', ['n']);
    const blocker = await world.submit('first', GPU + UNTIL_TOLD);
    await world.until(() => world.status('first', blocker.id) === 'RUNNING', 'it runs');
    await world.submit('first', `${GPU}run: 'true'\n`);
    await world.until(() => world.engine.view('first')?.staged === 1, 'it is staged');
    await world.cluster('second', ['n']);
    await world.engine.refresh('second');
    assert.equal(staged(node).length, 1);
  });

  it('comes back from a node that is removed, and goes there no more', async () => {
    const world = await opened();
    await world.nodes.add('a', { gpus: { ...V100, count: 1 } });
    const b = await world.nodes.add('b', { gpus: { ...V100, count: 1 } });
    await world.cluster('c', ['a', 'b']);
    await colleague(world, 'b', 'run: sleep 300\n');
    const first = await world.submit('c', GPU + UNTIL_TOLD);
    await world.until(() => world.status('c', first.id) === 'RUNNING', 'it runs');
    for (let n = 0; n < 3; n++) await world.submit('c', `${GPU}run: 'true'\n`);
    await world.until(() => world.engine.view('c')?.staged === 3, 'they are staged');
    assert.notEqual(staged(b).length, 0);
    await world.engine.changeNodes('c', { remove: ['b'] });
    await world.until(() => world.engine.view('c')?.staged === 3, 'they are staged elsewhere');
    assert.equal(staged(b).length, 0);
    await world.engine.cancel('c', 'all');
  });

  it('gets the devices that its node has by then', async () => {
    const world = await opened();
    const { home } = await world.nodes.add('a', { gpus: { ...V100, count: 2 } });
    const smi = path.join(world.nodes.dir, 'a', 'bin', 'nvidia-smi');
    renameSync(smi, `${smi}.real`);
    // GPU 0 falls off the bus, and GPU 1 is number 0 then.
    writeFileSync(
      smi,
      `#!/bin/sh\n[ -e "$HOME/fell" ] || exec "${smi}.real" "$@"\n"${smi}.real" "$@" | sed -e '/^0, /d' -e 's/^1, /0, /'\n`,
    );
    chmodSync(smi, 0o755);
    await world.cluster('c', ['a']);
    const log = path.join(home, 'used');
    const both = await world.submit('c', `resources: {accelerators: V100:2}\n${UNTIL_TOLD}`);
    await world.until(() => world.status('c', both.id) === 'RUNNING', 'it runs');
    const task = `${GPU}run: echo begins >>${log}; sleep 0.5; echo ends >>${log}\n`;
    const early = await world.submit('c', task);
    await world.until(() => world.engine.view('c')?.staged === 1, 'it is staged');
    writeFileSync(path.join(home, 'fell'), '');
    await world.engine.refresh('c');
    const late = await world.submit('c', task);
    await world.until(() => world.engine.view('c')?.staged === 2, 'it is staged too');
    const wants = (): string[] =>
      staged({ home } as TestNode).map((name) =>
        readFileSync(path.join(home, '.cluster-queue', 'staged', name, 'want'), 'utf8'),
      );
    await world.until(() => wants().every((want) => !want.includes('GPU-a-0')), 'both are staged anew');
    writeFileSync(path.join(home, 'end'), '');
    for (const { id } of [early, late]) assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.equal(readFileSync(log, 'utf8'), 'begins\nends\nbegins\nends\n');
  });

  it('starts when a colleague’s device is free, also while files of another are on their way', async () => {
    const world = await opened();
    const tar = 'case "$*" in *x*) sleep 30 ;; esac; exec /bin/tar "$@"';
    await world.nodes.add('a', { gpus: { ...V100, count: 1 }, machine: 'box', tools: { tar } });
    await world.nodes.add('theirs', { gpus: { ...V100, count: 1 }, machine: 'box' });
    const { freed } = await colleague(world, 'theirs', 'run: sleep 3\n');
    const workdir = path.join(world.home, 'wd');
    mkdirSync(workdir);
    writeFileSync(path.join(workdir, 'f'), 'x');
    await world.cluster('c', ['a']);
    const [first] = await Promise.all([
      world.submit('c', `${GPU}run: 'true'\n`),
      world.submit('c', `workdir: ${workdir}\n${GPU}run: 'true'\n`),
    ]);
    await world.ended('c', first.id, 30_000);
    const late = Date.now() - (await freed);
    assert.ok(late < 8_000, `${late} ms after the device was free`);
  });

  it('does not wait behind one whose files its node cannot take', async () => {
    const world = await opened();
    // A home that takes no long names (eCryptfs: 143 bytes).
    const tar =
      'case "$*" in *x*) echo "tar: new-1/long: Cannot open: File name too long" >&2; cat >/dev/null; exit 2 ;; esac; exec /bin/tar "$@"';
    await world.nodes.add('a', { gpus: { ...V100, count: 1 }, tools: { tar } });
    const workdir = path.join(world.home, 'wd');
    mkdirSync(workdir);
    writeFileSync(path.join(workdir, 'f'), 'x');
    await world.cluster('c', ['a']);
    const bad = await world.submit('c', `workdir: ${workdir}\n${GPU}run: 'true'\n`);
    const next = await world.submit('c', `${GPU}run: 'true'\n`);
    assert.equal((await world.ended('c', next.id)).status, 'SUCCEEDED');
    assert.match(
      world.engine.job('c', bad.id).reason?.text ?? '',
      /^a could not take it: .*File name too long; it is tried again/,
    );
    await world.engine.cancel('c', [bad.id]);
  });

  it('starts elsewhere when its node dies while its files are on their way', async () => {
    const world = await opened();
    const tar = 'case "$*" in *x*) sleep 3 ;; esac; exec /bin/tar "$@"';
    const node = await world.nodes.add('a', { gpus: { ...V100, count: 1 }, tools: { tar } });
    await world.nodes.add('b', { gpus: { ...V100, count: 1 } });
    const workdir = path.join(world.home, 'wd');
    mkdirSync(workdir);
    writeFileSync(path.join(workdir, 'f'), 'x');
    await world.cluster('c', ['a', 'b']);
    const job = await world.submit('c', `workdir: ${workdir}\n${GPU}run: 'true'\n`);
    await world.until(
      () => world.engine.job('c', job.id).record.placement?.ranks[0]?.node === 'a',
      'it is to run on a',
    );
    await node.stop();
    assert.equal((await world.ended('c', job.id)).status, 'SUCCEEDED');
  });

  it('waits on as a gang that a colleague keeps from its devices, whoever’s window is closed and opened', async () => {
    const world = await opened();
    await world.nodes.add('a', { gpus: { ...V100, count: 1 } });
    await world.nodes.add('b', { gpus: { ...V100, count: 1 } });
    await world.cluster('c', ['a', 'b']);
    await colleague(world, 'b', 'run: sleep 300\n');
    const { id } = await world.submit('c', `num_nodes: 2\n${GPU}run: 'true'\n`);
    for (let round = 0; round < 4; round++) {
      // It is tried every two seconds, and found busy a moment later.
      await world
        .until(() => world.status('c', id) === 'SETTING_UP', 'it is tried', 5000)
        .catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 5 + 20 * round));
      await world.shut();
      await world.open();
      await world.up('c');
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(['PENDING', 'SETTING_UP'].includes(world.status('c', id)), world.status('c', id));
    }
  });
});
