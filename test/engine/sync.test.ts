import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { FaultyProxy } from '../faults/proxy';
import { haveSshd, type TestNode } from '../support/sshd';
import { World } from '../support/world';

/** What lies below a folder: kind, executable bit and content by path. */
function tree(dir: string, inside = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(path.join(dir, inside)).sort()) {
    const at = path.join(inside, name);
    const stats = lstatSync(path.join(dir, at));
    if (stats.isSymbolicLink()) found[at] = `link ${readlinkSync(path.join(dir, at))}`;
    else if (stats.isDirectory()) Object.assign(found, { [at]: 'folder' }, tree(dir, at));
    else
      found[at] =
        `file ${(stats.mode & 0o100) === 0 ? '' : 'x '}${readFileSync(path.join(dir, at), 'latin1')}`;
  }
  return found;
}

/** Trees of snapshots that a home has, by inode where asked. */
function snapshots(home: string): string[] {
  const work = path.join(home, '.cluster-queue', 'work');
  return readdirSync(work).filter((name) => /^[0-9a-f]{32}$/.test(name));
}

/** A workdir of many files; some of them odd. */
function oddProject(dir: string): void {
  mkdirSync(path.join(dir, 'pkg', 'empty'), { recursive: true });
  mkdirSync(path.join(dir, 'closed'));
  for (let i = 0; i < 50; i++) writeFileSync(path.join(dir, 'pkg', `m${i}.py`), `module ${i}\n`);
  for (const name of ['__init__.py', 'twin-a', 'twin-b']) writeFileSync(path.join(dir, 'pkg', name), '');
  writeFileSync(path.join(dir, '-rf'), 'dash');
  writeFileSync(path.join(dir, 'new\nline'), 'newline');
  writeFileSync(path.join(dir, 'ünï ✓ "quoted" $x'), 'unicode');
  writeFileSync(path.join(dir, `${'long'.repeat(40)}.txt`), 'long name');
  writeFileSync(path.join(dir, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(path.join(dir, 'closed', 'file'), 'in a folder that cannot be written');
  chmodSync(path.join(dir, 'closed'), 0o555);
  symlinkSync('pkg/m0.py', path.join(dir, 'inside'));
  symlinkSync('../../nowhere', path.join(dir, 'dangling'));
  symlinkSync('/etc/hostname', path.join(dir, 'absolute'));
  symlinkSync(`${'far/'.repeat(40)}away`, path.join(dir, 'pkg', 'far'));
}

describe('a workdir on its way to the nodes', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let node: TestNode;
  let proxy: FaultyProxy;
  const project = path.join(world.home, 'project');
  const run = (script: string): string => `workdir: ${project}\nrun: |\n  ${script}\n`;
  const copied = async (name: string): Promise<Record<string, string>> => {
    const to = path.join(world.home, name);
    const { id } = await world.submit('c', run(`cp -a . ${to}`));
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED', await world.log('c', id));
    return tree(to);
  };
  /** Bytes that a piece of work sends to the node. */
  const sent = async (work: () => Promise<unknown>): Promise<number> => {
    const before = proxy.bytes;
    await work();
    return proxy.bytes - before;
  };

  before(async () => {
    node = await world.nodes.add('node-a');
    proxy = await FaultyProxy.before(node, 'through', world.nodes);
    await world.open();
    await world.cluster('c', ['through']);
    oddProject(project);
  });
  after(async () => {
    chmodSync(path.join(project, 'closed'), 0o755);
    await world.close();
    await proxy.close();
  });

  it('arrives as it was, whatever its names', async () => {
    assert.deepEqual(await copied('first'), tree(project));
  });

  it('that has not changed costs a round trip, and one changed file that file', async () => {
    writeFileSync(path.join(project, 'data'), randomBytes(300_000));
    await copied('with-data');
    const unchanged = await sent(() => copied('unchanged'));
    assert.ok(unchanged < 10_000, `${unchanged} bytes for an unchanged tree`);
    writeFileSync(path.join(project, 'pkg', 'm7.py'), randomBytes(20_000));
    rmSync(path.join(project, 'pkg', 'm8.py'));
    const changed = await sent(async () => assert.deepEqual(await copied('changed'), tree(project)));
    // A header of half a kilobyte for each file that the node has.
    assert.ok(changed > 20_000 && changed < 90_000, `${changed} bytes for one changed file`);
  });

  it('takes over what was moved and what became executable', async () => {
    writeFileSync(path.join(project, 'heavy'), randomBytes(300_000));
    await copied('before-the-move');
    execFileSync('mv', [path.join(project, 'heavy'), path.join(project, 'pkg', 'moved')]);
    chmodSync(path.join(project, 'pkg', 'm1.py'), 0o755);
    const bytes = await sent(async () => assert.deepEqual(await copied('moved'), tree(project)));
    assert.ok(bytes < 90_000, `${bytes} bytes for a moved file`);
  });

  it('is nobody else’s: what a job writes into its copy reaches neither other jobs nor later ones', async () => {
    const { id } = await world.submit(
      'c',
      run('for f in pkg/*.py pkg/twin-a; do echo changed >>"$f"; done; cat pkg/twin-b'),
    );
    await world.ended('c', id);
    assert.equal(await world.log('c', id), '', 'two files of one content are two files');
    assert.deepEqual(await copied('untouched'), tree(project));
    // A snapshot built from another shares its files: those, too, are as they were.
    writeFileSync(path.join(project, 'pkg', 'm3.py'), 'other');
    assert.deepEqual(await copied('after-it'), tree(project));
  });

  it('has its .git, unless that is to be left out', async () => {
    const repository = path.join(world.home, 'repository');
    mkdirSync(path.join(repository, '.git'), { recursive: true });
    writeFileSync(path.join(repository, '.git', 'HEAD'), 'ref');
    writeFileSync(path.join(repository, 'code'), '');
    const listed = async (): Promise<string> => {
      const { id } = await world.submit('c', `workdir: ${repository}\nrun: echo $(ls -A)`);
      await world.ended('c', id);
      return world.log('c', id);
    };
    assert.equal(await listed(), '.git code\n');
    await world.shut();
    await world.open({ leaveOutGit: true });
    world.engine.connect('c');
    assert.equal(await listed(), 'code\n');
    await world.shut();
    await world.open();
    world.engine.connect('c');
  });

  it('is read again only where it has changed', async () => {
    const large = path.join(project, 'large');
    writeFileSync(large, randomBytes(3_000_000));
    // Long enough ago that its times tell.
    execFileSync('touch', ['-d', '1 minute ago', large]);
    await new Promise((resolve) => setTimeout(resolve, 150));
    await copied('large');
    const before = lstatSync(large).atimeMs;
    execFileSync('touch', ['-a', '-d', '2 minutes ago', large]);
    assert.notEqual(lstatSync(large).atimeMs, before);
    // The new access time changed ctime, so it is read once more; then no more.
    await copied('large-2');
    const known = lstatSync(large).atimeMs;
    await copied('large-3');
    assert.equal(lstatSync(large).atimeMs, known);
    rmSync(large);
  });

  it('goes on where a connection was cut, and never leaves half a tree', async () => {
    for (let i = 0; i < 120; i++) writeFileSync(path.join(project, `part${i}`), randomBytes(100_000));
    const had = snapshots(node.home);
    const total = 12_000_000;
    const before = proxy.bytes;
    const connections = proxy.connections;
    let cuts = 0;
    proxy.arm(() =>
      ++cuts > 1 ? undefined : { kind: 'drop', after: 9_000_000, withinMs: 60_000, forMs: 0 },
    );
    const seen: string[] = [];
    const stop = world.engine.onDidChange(() => {
      for (const name of snapshots(node.home)) if (!had.includes(name)) seen.push(name);
    });
    const there = await copied('after-cut');
    stop();
    assert.ok(proxy.connections > connections, 'it was cut');
    assert.deepEqual(there, tree(project));
    const bytes = proxy.bytes - before;
    // What is lost is what sshd had taken and tar had not: no more than a channel's window of 2 MiB.
    assert.ok(bytes < total + 3_000_000, `${bytes} bytes went out for ${total}`);
    assert.deepEqual(
      readdirSync(path.join(node.home, '.cluster-queue', 'work')).filter((name) => /new-|part/.test(name)),
      [],
    );
    for (const name of new Set(seen)) {
      const whole = tree(path.join(node.home, '.cluster-queue', 'work', name));
      assert.equal(Object.keys(whole).length, Object.keys(tree(project)).length);
    }
  });

  it('says how far it is, and stops when its job is cancelled', async () => {
    const big = path.join(project, 'big');
    writeFileSync(big, randomBytes(30_000_000));
    const { id } = await world.submit('c', run('echo never'));
    await world.until(() => world.engine.job('c', id).reason?.kind === 'files', 'it says so');
    assert.match(
      world.engine.job('c', id).reason?.text ?? '',
      /^syncing workdir to through: \d+ of 30 MB, \d+ of 1 files$/,
    );
    void world.engine.cancel('c', [id]);
    assert.equal((await world.ended('c', id)).status, 'CANCELLED');
    const record = world.engine.job('c', id).record;
    assert.equal(record.startedAt, undefined);
    rmSync(big);
    const next = await world.submit('c', 'run: echo next');
    assert.equal((await world.ended('c', next.id)).status, 'SUCCEEDED');
  });

  it('has the devices that wait for it: a later job that needs no files does not overtake it', async () => {
    await world.cluster('gpu', ['through'], 1);
    const big = path.join(project, 'big');
    writeFileSync(big, randomBytes(30_000_000));
    const began = path.join(world.home, 'began');
    const gpu = `resources: {accelerators: V100:1, cpus: 0.1}\n`;
    const note = `echo "$SKYPILOT_INTERNAL_JOB_ID" >>${began}`;
    const first = await world.submit('gpu', gpu + run(note));
    await world.until(
      () => world.engine.job('gpu', first.id).reason?.kind === 'files',
      'its files are on their way',
    );
    const second = await world.submit('gpu', `${gpu}run: ${note}\n`);
    for (const { id } of [first, second]) assert.equal((await world.ended('gpu', id)).status, 'SUCCEEDED');
    assert.equal(readFileSync(began, 'utf8'), `${first.id}\n${second.id}\n`);
    rmSync(big);
  });

  it('is waited for on the node itself: a later job that needs no files is not put there before', async () => {
    await world.cluster('held', ['through'], 1);
    const big = path.join(project, 'big');
    writeFileSync(big, randomBytes(60_000_000));
    const [began, release] = [path.join(world.home, 'began-held'), path.join(world.home, 'release')];
    const gpu = `resources: {accelerators: V100:1, cpus: 0.1}\n`;
    const note = `echo "$SKYPILOT_INTERNAL_JOB_ID" >>${began}`;
    const holder = await world.submit('held', `${gpu}run: until [ -e ${release} ]; do sleep 0.02; done\n`);
    await world.until(() => world.status('held', holder.id) === 'RUNNING', 'it has the device');
    const first = await world.submit('held', gpu + run(note));
    const onItsWay = (): boolean =>
      world.engine.job('held', first.id).reason?.text.includes('syncing') === true;
    await world.until(onItsWay, 'its files are on their way');
    const second = await world.submit('held', `${gpu}run: ${note}\n`);
    // As long as to stage it takes.
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFileSync(release, '');
    for (const { id } of [first, second]) assert.equal((await world.ended('held', id)).status, 'SUCCEEDED');
    assert.equal(readFileSync(began, 'utf8'), `${first.id}\n${second.id}\n`);
    rmSync(big);
  });

  it('goes once to a home that two nodes share', async () => {
    const home = path.join(world.home, 'shared');
    mkdirSync(home);
    const names = ['node-s', 'node-t'];
    const proxies: FaultyProxy[] = [];
    for (const name of names)
      proxies.push(
        await FaultyProxy.before(await world.nodes.add(name, { home }), `via-${name}`, world.nodes),
      );
    await world.cluster(
      'two',
      names.map((name) => `via-${name}`),
    );
    writeFileSync(path.join(project, 'shared'), randomBytes(2_000_000));
    const before = proxies.map(({ bytes }) => bytes);
    const { id } = await world.submit('two', `num_nodes: 2\n${run('wc -c <shared')}`);
    assert.equal((await world.ended('two', id)).status, 'SUCCEEDED');
    const bytes = proxies.reduce((sum, one, index) => sum + one.bytes - (before[index] ?? 0), 0);
    const total = Object.values(tree(project)).reduce((sum, { length }) => sum + length, 0);
    assert.ok(bytes < total * 1.1 + 100_000, `${bytes} bytes went out for ${total}`);
    for (const one of proxies) await one.close();
  });
});

describe('a workdir and a node with', function () {
  if (!haveSshd) return;
  this.timeout(60_000);

  it('the tools of busybox', async function () {
    if (!existsSync('/usr/bin/busybox')) return this.skip();
    const world = new World();
    try {
      const bin = path.join(world.home, 'bin');
      mkdirSync(bin);
      for (const tool of [
        'sh',
        'tar',
        'cp',
        'ln',
        'find',
        'wc',
        'mv',
        'rm',
        'mkdir',
        'touch',
        'cat',
        'head',
        'cut',
      ])
        symlinkSync('/usr/bin/busybox', path.join(bin, tool));
      const node = await world.nodes.add('node-a', { bin });
      const proxy = await FaultyProxy.before(node, 'through', world.nodes);
      await world.open();
      await world.cluster('c', ['through']);
      const project = path.join(world.home, 'project');
      oddProject(project);
      const send = async (name: string): Promise<void> => {
        const to = path.join(world.home, name);
        const { id } = await world.submit('c', `workdir: ${project}\nrun: /bin/cp -a . ${to}\n`);
        assert.equal((await world.ended('c', id)).status, 'SUCCEEDED', await world.log('c', id));
        assert.deepEqual(tree(to), tree(project));
      };
      await send('first');
      writeFileSync(path.join(project, 'pkg', 'm1.py'), 'changed');
      await send('second');
      for (let i = 0; i < 20; i++) writeFileSync(path.join(project, `part${i}`), randomBytes(100_000));
      let cuts = 0;
      proxy.arm(() =>
        ++cuts > 1 ? undefined : { kind: 'drop', after: 1_000_000, withinMs: 60_000, forMs: 0 },
      );
      await send('third');
      chmodSync(path.join(project, 'closed'), 0o755);
      await proxy.close();
    } finally {
      await world.close();
    }
  });

  it('a home that is tidied up while it comes, as when another workdir has just arrived', async () => {
    const world = new World();
    try {
      // All that is old there goes, between tar's end and the look at what it has brought.
      const tar =
        '/usr/bin/tar "$@" || exit; exec find . -mindepth 1 -maxdepth 1 ! -name id -mtime +1 -exec rm -rf {} +';
      await world.nodes.add('node-a', { tools: { tar } });
      await world.open();
      await world.cluster('c', ['node-a']);
      const project = path.join(world.home, 'project');
      mkdirSync(path.join(project, 'pkg'), { recursive: true });
      writeFileSync(path.join(project, 'pkg', 'code'), 'of long ago');
      for (const name of ['pkg/code', 'pkg', '.']) utimesSync(path.join(project, name), 1e9, 1e9);
      const { id } = await world.submit('c', `workdir: ${project}\nrun: cat pkg/code`);
      const { status, message } = await world.ended('c', id);
      assert.equal(status, 'SUCCEEDED', message);
      assert.equal(await world.log('c', id), 'of long ago');
    } finally {
      await world.close();
    }
  });

  it('fish as login shell', async function () {
    if (!existsSync('/usr/bin/fish')) return this.skip();
    const world = new World();
    try {
      await world.nodes.add('node-a', { config: 'ForceCommand exec fish -c "$SSH_ORIGINAL_COMMAND"' });
      await world.open();
      await world.cluster('c', ['node-a']);
      const project = path.join(world.home, 'project');
      mkdirSync(project);
      for (const text of ['one', 'two']) {
        writeFileSync(path.join(project, 'file'), text);
        const { id } = await world.submit('c', `workdir: ${project}\nrun: cat file`);
        assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
        assert.equal(await world.log('c', id), text);
      }
    } finally {
      await world.close();
    }
  });

  it('a full disk: the job waits with the disk’s own words, and nothing of the try is left', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const world = new World();
    const home = path.join(world.home, 'small');
    mkdirSync(home);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', home]);
    try {
      await world.nodes.add('node-a', { home });
      await world.open();
      await world.cluster('c', ['node-a']);
      const project = path.join(world.home, 'project');
      mkdirSync(project);
      for (let i = 0; i < 20; i++) writeFileSync(path.join(project, `f${i}`), randomBytes(100_000));
      const { id } = await world.submit('c', `workdir: ${project}\nrun: ls | wc -l`);
      await world.until(
        () => (world.engine.job('c', id).reason?.text ?? '').includes('No space left'),
        'the reason says so',
      );
      assert.match(
        world.engine.job('c', id).reason?.text ?? '',
        /node-a cannot take jobs: the workdir could not be put on node-a: .*No space left on device/,
      );
      assert.deepEqual(readdirSync(path.join(home, '.cluster-queue', 'work')), ['id']);
      execFileSync('mount', ['-o', 'remount,size=20m', home]);
      assert.equal((await world.ended('c', id, 40_000)).status, 'SUCCEEDED');
      assert.equal(await world.log('c', id), '20\n');
    } finally {
      await world.shut();
      execFileSync('sh', ['-c', `sleep 0.3; umount -l ${home}`]);
      await world.close();
    }
  });
});
