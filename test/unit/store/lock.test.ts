import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreLockedError, acquire } from '../../../src/store';
import { ownIdentity, startSaid } from '../../../src/store/processIdentity';
import { inFolder } from './builders';
import { buildProgram, ended, start } from './processes';

describe('the lock of the store', () => {
  it('is refused with the pid of its owner, and free after its release', () =>
    inFolder(async (folder) => {
      const lock = await acquire(folder);
      await assert.rejects(
        acquire(folder),
        (error) => error instanceof StoreLockedError && error.pid === process.pid && error.visible,
      );
      await lock.release();
      await (await acquire(folder)).release();
    }));

  it('is taken from an owner whose pid now belongs to a stranger', () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'lock.4'), JSON.stringify({ ...(await ownIdentity()), started: '1' }));
      await (await acquire(folder)).release();
      assert.deepEqual(readdirSync(folder).sort(), ['lock.4', 'lock.5']);
    }));

  it('is kept by a live owner of whom the system does not say when it began, as of one with more rights on Windows', () => {
    assert.equal(
      startSaid(' 133769\r\n', () => false),
      '133769',
    );
    assert.equal(
      startSaid('', () => true),
      '',
    );
    assert.equal(
      startSaid(undefined, () => true),
      '',
    );
    assert.equal(
      startSaid(undefined, () => false),
      undefined,
    );
    return inFolder(async (folder) => {
      writeFileSync(join(folder, 'lock.1'), JSON.stringify({ ...(await ownIdentity()), started: '' }));
      await assert.rejects(acquire(folder), StoreLockedError);
    });
  });

  it('is taken from an owner of an earlier boot of this machine', () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'lock.1'), JSON.stringify({ ...(await ownIdentity()), boot: 'earlier' }));
      await (await acquire(folder)).release();
    }));

  it('is not taken from an owner on another machine or in another container', () =>
    inFolder(async (folder) => {
      const own = await ownIdentity();
      for (const owner of [
        { ...own, boot: 'other', host: 'other' },
        { ...own, namespace: 'other', host: 'other' },
      ]) {
        writeFileSync(join(folder, 'lock.1'), JSON.stringify(owner));
        await assert.rejects(
          acquire(folder),
          (error) => error instanceof StoreLockedError && !error.visible && /on other/.test(error.message),
        );
      }
    }));

  it('has one owner at a time when a hundred processes race and some are killed', function () {
    this.timeout(60_000);
    return inFolder(async (folder) => {
      const program = buildProgram('lockHolder', folder);
      const log = join(folder, 'log');
      const locks = join(folder, 'locks');
      const children = Array.from({ length: 100 }, (_, index) =>
        start(program, [locks, log, index % 4 === 0 ? 'die' : 'live']),
      );
      await Promise.all(children.map(ended));
      const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
      assert.equal(lines.length, 200);
      for (let index = 0; index < lines.length; index += 2) {
        const [entered, left] = [lines[index] ?? '', lines[index + 1] ?? ''];
        assert.match(entered, /^enter /);
        assert.match(left, /^(leave|die) /);
        assert.equal(entered.split(' ')[1], left.split(' ')[1]);
      }
      assert.equal(lines.filter((line) => line.startsWith('die')).length, 25);
    });
  });
});
