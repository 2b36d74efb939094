import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { receiveTar } from '../../../src/engine/files/receive';
import { Snapshots } from '../../../src/engine/files/snapshots';
import { windowsFlaw } from '../../../src/engine/files/windows';
import { expandHome } from '../../../src/engine/localPath';

describe('a client on Windows', () => {
  let dir = '';
  beforeEach(() => (dir = mkdtempSync(path.join(os.tmpdir(), 'cq-windows-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('knows which names it cannot have', () => {
    for (const name of ['a', 'a/b.txt', '.hidden', 'console', 'com10', 'ä/∂', './a', 'nullable.h'])
      assert.equal(windowsFlaw(name), undefined, name);
    assert.match(windowsFlaw('log/12:30.txt') ?? '', /no names with ":"/);
    assert.match(windowsFlaw('a\\..\\b') ?? '', /no names with/);
    assert.match(windowsFlaw('a\nb') ?? '', /no names with "\\n"/);
    assert.match(windowsFlaw('dir./x') ?? '', /end with a dot/);
    for (const name of ['aux.h', 'src/NUL', 'Com1'])
      assert.match(windowsFlaw(name) ?? '', /is a device/, name);
  });

  it('leaves out of what it fetches only what it can have no name for, and says so', async () => {
    const archive = pack();
    for (const name of ['good', '12:30.log', 'sub/aux.c', 'sub/fine']) archive.entry({ name }, name);
    archive.entry({ name: 'hard', type: 'link', linkname: '12:30.log' });
    archive.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    const received = await receiveTar(Readable.from(chunks), dir, () => undefined, true);
    assert.equal(received.files, 2);
    assert.deepEqual(
      received.skipped.map((words) => words.split(': ')[0]),
      ['12:30.log', 'sub/aux.c', 'hard'],
    );
    assert.deepEqual(readdirSync(dir).sort(), ['good', 'sub']);
    assert.deepEqual(readdirSync(path.join(dir, 'sub')), ['fine']);
  });

  it('takes both of two names that differ by case where the disk has both', async function () {
    writeFileSync(path.join(dir, 'a'), '');
    if (statSync(path.join(dir, 'A'), { throwIfNoEntry: false })) return this.skip();
    const archive = pack();
    for (const name of ['a', 'A']) archive.entry({ name }, name);
    archive.finalize();
    const { files, skipped } = await receiveTar(archive as AsyncIterable<Buffer>, dir, () => undefined);
    assert.deepEqual([files, skipped], [2, []]);
  });

  it('says by the content what may be run, as its files do not, also of files that it need not read again', async () => {
    writeFileSync(path.join(dir, 'run.sh'), '#!/bin/sh\n');
    writeFileSync(path.join(dir, 'text'), 'echo', { mode: 0o777 });
    writeFileSync(path.join(dir, 'program'), Buffer.concat([Buffer.from('\x7fELF'), Buffer.alloc(2 << 20)]));
    const kept = mkdtempSync(path.join(os.tmpdir(), 'cq-kept-'));
    try {
      const modes = async (): Promise<Record<string, string>> => {
        const snapshots = new Snapshots(kept, true);
        const manifest = await snapshots.manifest(await snapshots.take(dir));
        return Object.fromEntries(
          manifest.map((entry) => [entry.path, entry.kind === 'link' ? '' : entry.mode.toString(8)]),
        );
      };
      const wanted = { program: '755', 'run.sh': '755', text: '644' };
      assert.deepEqual(await modes(), wanted);
      assert.deepEqual(await modes(), wanted);
    } finally {
      rmSync(kept, { recursive: true, force: true });
    }
  });

  it('finds its home behind either slash', () => {
    assert.equal(expandHome('~\\x', true), path.join(os.homedir(), '\\x'));
    assert.equal(expandHome('~\\x', false), '~\\x');
    assert.equal(expandHome('~/x', true), path.join(os.homedir(), 'x'));
  });
});
