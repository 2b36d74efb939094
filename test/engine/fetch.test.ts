import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pack, type Header } from 'tar-stream';
import { receiveTar } from '../../src/engine/files/receive';
import type { FetchWatcher } from '../../src/engine';
import { FaultyProxy } from '../faults/proxy';
import { haveSshd, type TestNode } from '../support/sshd';
import { World } from '../support/world';

const quiet = (): FetchWatcher => ({ progress: () => undefined, signal: new AbortController().signal });

describe('outputs of a job', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let node: TestNode;
  let proxy: FaultyProxy;
  const project = path.join(world.home, 'project');
  const target = (): string => mkdtempSync(path.join(world.home, 'to-'));
  const run = async (cluster: string, script: string, more = ''): Promise<number> => {
    const { id } = await world.submit(cluster, `workdir: ${project}\n${more}run: |\n  ${script}\n`);
    await world.ended(cluster, id);
    return id;
  };

  before(async () => {
    node = await world.nodes.add('node-a');
    proxy = await FaultyProxy.before(node, 'through', world.nodes);
    await world.nodes.add('node-b');
    await world.open();
    await world.cluster('c', ['node-a']);
    await world.cluster('cut', ['through']);
    await world.cluster('two', ['node-a', 'node-b']);
    mkdirSync(project);
    writeFileSync(path.join(project, 'code.py'), 'code');
  });
  after(async () => {
    await world.close();
    await proxy.close();
  });

  it('come as the patterns say, with their modes, also with odd names', async () => {
    const id = await run(
      'c',
      `mkdir -p "out put"/deep; echo 1 >"out put/a.pt"; echo 2 >"out put/deep/b.pt"; echo x >./-rf; printf y >"$(printf 'new\\nline')"; chmod 755 -- -rf; ln -s code.py link; ln -s /etc/passwd away; ln code.py twin`,
    );
    const all = target();
    const got = await world.engine.fetch({ cluster: 'c', id, patterns: ['*'], to: all }, quiet());
    assert.deepEqual(readdirSync(all).sort(), ['-rf', 'code.py', 'link', 'new\nline', 'out put', 'twin']);
    assert.equal(readFileSync(path.join(all, 'out put', 'deep', 'b.pt'), 'utf8'), '2\n');
    assert.equal(readFileSync(path.join(all, 'twin'), 'utf8'), 'code');
    assert.equal(lstatSync(path.join(all, '-rf')).mode & 0o777, 0o755);
    assert.match(got.skipped.join(), /away: a link to \/etc\/passwd, outside/);
    const some = target();
    await world.engine.fetch({ cluster: 'c', id, patterns: ['out put/*.pt', 'co*'], to: some }, quiet());
    assert.deepEqual(readdirSync(some).sort(), ['code.py', 'out put']);
    assert.deepEqual(readdirSync(path.join(some, 'out put')), ['a.pt']);
  });

  it('of a gang come by rank', async () => {
    const id = await run('two', 'echo $SKYPILOT_NODE_RANK >rank', 'num_nodes: 2\n');
    const to = target();
    await world.engine.fetch({ cluster: 'two', id, patterns: ['rank'], to }, quiet());
    for (const rank of [0, 1])
      assert.equal(readFileSync(path.join(to, `rank-${rank}`, 'rank'), 'utf8'), `${rank}\n`);
  });

  it('are refused with the reason: nothing matches, gone, no folder, a way out', async () => {
    const fetch = (id: number, pattern = '*'): Promise<unknown> =>
      world.engine.fetch({ cluster: 'c', id, patterns: [pattern], to: target() }, quiet());
    const id = await run('c', 'true');
    await assert.rejects(fetch(id, 'none*'), /nothing in the folder of job \d+ on node-a matches none\*/);
    for (const pattern of ['../x', '/etc/passwd', 'a/../../b', '~/x'])
      await assert.rejects(fetch(id, pattern), /does not name something in the job's own folder/);
    const home = await world.submit('c', 'run: echo');
    await world.ended('c', home.id);
    await assert.rejects(fetch(home.id), /has no workdir, so it ran in the home folder/);
    execFileSync('sh', ['-c', `rm -rf ${node.home}/.cluster-queue/node-a/jobs/*`]);
    await assert.rejects(fetch(id), /the folder of job \d+ on node-a is gone/);
  });

  it('can be called off, and a cut connection is told from the end', async () => {
    const id = await run('cut', 'head -c 30000000 /dev/urandom >big; echo done');
    const abort = new AbortController();
    const to = target();
    await assert.rejects(
      world.engine.fetch(
        { cluster: 'cut', id, patterns: ['big'], to },
        { signal: abort.signal, progress: ({ bytes }) => bytes > 0 && abort.abort() },
      ),
    );
    assert.deepEqual(readdirSync(to), []);
    proxy.arm(() => ({ kind: 'drop', after: 5_000_000, withinMs: 60_000, forMs: 0 }));
    await assert.rejects(world.engine.fetch({ cluster: 'cut', id, patterns: ['big'], to }, quiet()));
    proxy.arm(() => undefined);
    assert.ok(!existsSync(path.join(to, 'big')));
    await world.engine.fetch({ cluster: 'cut', id, patterns: ['big'], to }, quiet());
    assert.equal(lstatSync(path.join(to, 'big')).size, 30_000_000);
  });

  describe('as a tar stream that means harm', () => {
    const harm = async (
      to: string,
      entries: readonly (Partial<Header> & { name: string })[],
    ): Promise<unknown> => {
      const archive = pack();
      for (const entry of entries) archive.entry(entry, entry.type === undefined ? 'harm' : '');
      archive.finalize();
      const chunks: Buffer[] = [];
      for await (const chunk of archive) chunks.push(chunk as Buffer);
      return receiveTar(Readable.from(chunks), to, () => undefined);
    };

    it('writes nothing outside of the folder', async () => {
      const dir = target();
      const to = path.join(dir, 'in');
      const out = path.join(dir, 'out');
      mkdirSync(out);
      await assert.rejects(harm(to, [{ name: '../out/x' }]), /leads out/);
      await assert.rejects(harm(to, [{ name: `${out}/x` }]), /leads out/);
      await assert.rejects(harm(to, [{ name: 'a/../../out/x' }]), /leads out/);
      await assert.rejects(harm(to, [{ name: 'x', type: 'link', linkname: '../out/y' }]), /leads out/);
      // A link that stays inside may be made; nothing goes through it. One that leads out is not made at all.
      await assert.rejects(
        harm(to, [
          { name: 'real', type: 'directory' },
          { name: 'l', type: 'symlink', linkname: 'real' },
          { name: 'l/x' },
        ]),
        /is a symbolic link/,
      );
      await harm(to, [{ name: 'o', type: 'symlink', linkname: '../out' }, { name: 'o/x' }]);
      assert.ok(lstatSync(path.join(to, 'o')).isDirectory());
      // One that was there before.
      symlinkSync(out, path.join(to, 'before'));
      await assert.rejects(harm(to, [{ name: 'before/x' }]), /is a symbolic link here/);
      symlinkSync(path.join(out, 'victim'), path.join(to, 'file'));
      await harm(to, [{ name: 'file' }]);
      assert.deepEqual(readdirSync(out), []);
      assert.equal(readFileSync(path.join(to, 'file'), 'utf8'), 'harm');
    });
  });
});
