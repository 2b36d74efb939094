import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeFolder } from '../../../src/store';

describe('making a folder', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-folder-'));
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('makes those above it, and takes one that is there', async () => {
    const folder = path.join(dir, 'a', 'b', 'c');
    await Promise.all([makeFolder(folder, 0o700), makeFolder(folder, 0o700)]);
    await makeFolder(folder);
    if (process.platform !== 'win32')
      assert.deepEqual(
        [folder, path.dirname(folder)].map((one) => statSync(one).mode & 0o777),
        [0o700, 0o700],
      );
  });

  it('says what is in the way, also where nothing can ever be made', async () => {
    writeFileSync(path.join(dir, 'file'), '');
    await assert.rejects(makeFolder(path.join(dir, 'file', 'x', 'y')), /ENOTDIR|ENOENT|EEXIST/);
    if (process.platform === 'win32') return;
    symlinkSync('nowhere', path.join(dir, 'link'));
    await assert.rejects(makeFolder(path.join(dir, 'link', 'x')), /EEXIST/);
    if (process.platform === 'linux') await assert.rejects(makeFolder('/proc/nowhere/at all'), /ENOENT/);
  });
});
