import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { FileEntry } from '../../../src/engine/files/manifest';
import { contentHash } from '../../../src/engine/files/manifest';
import { Snapshots } from '../../../src/engine/files/snapshots';

describe('the snapshots of a workdir', () => {
  let dir = '';
  let project = '';
  let kept = '';
  beforeEach(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'cq-snapshots-'));
    project = path.join(dir, 'project');
    kept = path.join(dir, 'kept');
    mkdirSync(project);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const put = (name: string, text: string | Buffer): void => {
    mkdirSync(path.dirname(path.join(project, name)), { recursive: true });
    writeFileSync(path.join(project, name), text);
  };
  const paths = async (snapshots: Snapshots, name: string): Promise<string[]> =>
    (await snapshots.manifest(name)).map((entry) => entry.path);
  const content = async (snapshots: Snapshots, name: string, file: string): Promise<string> => {
    const entry = (await snapshots.manifest(name)).find(({ path: at }) => at === file) as FileEntry;
    const reader = await snapshots.reader();
    const parts: Buffer[] = [];
    for await (const part of reader.read(entry.hash, entry.size)) parts.push(part);
    await reader.close();
    const bytes = Buffer.concat(parts);
    assert.equal(contentHash(bytes), entry.hash);
    return bytes.toString('latin1');
  };

  it('are named by what is in them, not by times', async () => {
    const snapshots = new Snapshots(kept);
    put('a', 'one');
    const first = await snapshots.take(project);
    utimesSync(path.join(project, 'a'), 1, 1);
    assert.equal(await snapshots.take(project), first);
    const names = new Set([first]);
    for (const change of [
      () => put('a', 'two'),
      () => chmodSync(path.join(project, 'a'), 0o755),
      () => mkdirSync(path.join(project, 'empty')),
      () => symlinkSync('a', path.join(project, 'link')),
      () => renameSync(path.join(project, 'a'), path.join(project, 'b')),
    ]) {
      change();
      names.add(await snapshots.take(project));
    }
    assert.equal(names.size, 6);
  });

  it('keep what was there, whatever becomes of the folder, over a restart', async () => {
    put('small', 'then');
    const large = Buffer.alloc(3_000_000, 'l');
    put('large', large);
    const name = await new Snapshots(kept).take(project);
    put('small', 'now');
    put('large', 'now');
    const later = new Snapshots(kept);
    assert.equal(await content(later, name, 'small'), 'then');
    assert.equal(await content(later, name, 'large'), large.toString('latin1'));
    assert.notEqual(await later.take(project), name);
  });

  it('see a write that leaves size and time as they were', async () => {
    const snapshots = new Snapshots(kept);
    put('a', 'one');
    utimesSync(path.join(project, 'a'), 1e9, 1e9);
    const first = await snapshots.take(project);
    put('a', 'two');
    utimesSync(path.join(project, 'a'), 1e9, 1e9);
    assert.notEqual(await snapshots.take(project), first);
  });

  it('hold of a file that grows while it is read what its hash says', async () => {
    const snapshots = new Snapshots(kept);
    put('log', Buffer.alloc(4_000_000, 'x'));
    const file = path.join(project, 'log');
    const taking = snapshots.take(project);
    const timer = setInterval(() => appendFileSync(file, 'more'), 0);
    const name = await taking;
    clearInterval(timer);
    assert.ok((await content(snapshots, name, 'log')).length >= 4_000_000);
    const next = await snapshots.take(project);
    assert.match(await content(snapshots, next, 'log'), /more$/);
  });

  it('are shared by requests that wait for one another, and see what came before them', async () => {
    const snapshots = new Snapshots(kept);
    put('a', 'one');
    const first = snapshots.take(project);
    put('a', 'changed while the first was asked for');
    const [one, two, three] = await Promise.all([first, snapshots.take(project), snapshots.take(project)]);
    assert.equal(two, three);
    assert.match(await content(snapshots, two, 'a'), /^changed/);
    assert.ok(one.length > 0);
  });

  it('leave out what the ignore files name, nested and negated; .skyignore alone, where it is', async () => {
    const snapshots = new Snapshots(kept);
    for (const name of ['.git/config', 'a.bin', 'keep.bin', 'sub/b.bin', 'sub/c.txt', 'out/x', 'sub/out/y'])
      put(name, name);
    put('.gitignore', '*.bin\n!keep.bin\n/out/\n');
    put('sub/.gitignore', '!b.bin\n*.txt\n');
    assert.deepEqual(await paths(snapshots, await snapshots.take(project)), [
      '.git',
      '.git/config',
      '.gitignore',
      'keep.bin',
      'sub',
      'sub/.gitignore',
      'sub/b.bin',
      'sub/out',
      'sub/out/y',
    ]);
    const without = await paths(snapshots, await snapshots.take(project, { leaveOutGit: true }));
    assert.ok(without.every((at) => !at.startsWith('.git/')));
    put('.skyignore', 'sub\n.git\n!a.bin\n');
    assert.deepEqual(await paths(snapshots, await snapshots.take(project)), [
      '.gitignore',
      '.skyignore',
      'a.bin',
      'keep.bin',
      'out',
      'out/x',
    ]);
  });

  it('say which FIFOs and sockets they lack', async () => {
    const snapshots = new Snapshots(kept);
    put('sub/a', 'one');
    symlinkSync('/mnt/data', path.join(project, 'data'));
    await snapshots.take(project);
    assert.equal(snapshots.lacking(project), undefined);
    for (const name of ['f1', 'f2', 'f3', 'f4', 'f5']) execFileSync('mkfifo', [path.join(project, name)]);
    await snapshots.take(project);
    assert.equal(
      snapshots.lacking(project),
      'left out, because only files, folders and links are sent: f1, f2, f3 and 2 more',
    );
    put('.skyignore', 'f?\ndata\nout\n');
    await snapshots.take(project);
    assert.equal(snapshots.lacking(project), undefined);
  });

  it('pass over a FIFO, and say which name is not UTF-8', async () => {
    const snapshots = new Snapshots(kept);
    put('a', 'one');
    execFileSync('mkfifo', [path.join(project, 'fifo')]);
    assert.deepEqual(await paths(snapshots, await snapshots.take(project)), ['a']);
    if (process.platform !== 'linux') return;
    writeFileSync(Buffer.concat([Buffer.from(`${project}/`), Buffer.from([0x66, 0xff])]), 'x');
    await assert.rejects(snapshots.take(project), /name that is not UTF-8: rename it/);
  });

  it('of a folder that is not there are refused with its name', async () => {
    await assert.rejects(new Snapshots(kept).take(path.join(dir, 'none')), /^.*none could not be read/);
  });

  it('are swept but for those of live jobs and the latest of each workdir', async () => {
    const snapshots = new Snapshots(kept);
    const taken: string[] = [];
    for (const text of ['1', '2', '3']) {
      put('large', Buffer.alloc(2_000_000, text));
      put('small', text);
      taken.push(await snapshots.take(project));
    }
    const old = new Date(Date.now() - 24 * 3600_000);
    for (const name of taken) utimesSync(path.join(kept, 'snapshots', name), old, old);
    const later = new Snapshots(kept);
    await later.sweep(new Set(taken.slice(0, 1)));
    assert.match(await content(later, taken[0] ?? '', 'large'), /^1+$/);
    assert.equal(await content(later, taken[0] ?? '', 'small'), '1');
    await assert.rejects(content(later, taken[1] ?? '', 'large'), /is gone/);
    await assert.rejects(content(later, taken[1] ?? '', 'small'), /is gone/);
    assert.match(await content(later, taken[2] ?? '', 'large'), /^3+$/);
    assert.equal(readdirSync(path.join(kept, 'contents')).length, 6);
    await new Snapshots(kept).sweep(new Set());
    assert.equal(readdirSync(path.join(kept, 'contents')).length, 3);
  });

  it('survive a crash that left half a pack', async () => {
    put('a', 'one');
    const name = await new Snapshots(kept).take(project);
    writeFileSync(path.join(kept, 'contents', 'torn.pack'), 'half');
    writeFileSync(path.join(kept, 'contents', 'torn.new'), 'half');
    writeFileSync(path.join(kept, 'seen', readdirSync(path.join(kept, 'seen'))[0] ?? ''), '{"half');
    const later = new Snapshots(kept);
    assert.equal(await later.take(project), name);
    assert.ok(!readdirSync(path.join(kept, 'contents')).some((file) => file.startsWith('torn')));
  });
});
