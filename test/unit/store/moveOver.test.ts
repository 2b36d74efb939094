import assert from 'node:assert/strict';
import { moveOver } from '../../../src/store';
import { systemError } from './simulatedDisk';

describe('a file that is put in the place of another', () => {
  const failing = (code: string, times: number) => {
    const moves: string[] = [];
    const rename = (from: string, to: string): Promise<void> => {
      moves.push(`${from} ${to}`);
      return moves.length <= times ? Promise.reject(systemError(code)) : Promise.resolve();
    };
    return { moves, rename };
  };

  it('is moved again on Windows while somebody has one of them open', async () => {
    for (const code of ['EPERM', 'EACCES', 'EBUSY']) {
      const { moves, rename } = failing(code, 3);
      await moveOver('a', 'b', { rename, windows: true });
      assert.deepEqual(moves, Array(4).fill('a b'));
    }
  });

  it('is moved once elsewhere, and where the error is another one', async () => {
    for (const [code, windows] of [
      ['EPERM', false],
      ['ENOSPC', true],
    ] as const) {
      const { moves, rename } = failing(code, 1);
      await assert.rejects(moveOver('a', 'b', { rename, windows }), { code });
      assert.equal(moves.length, 1);
    }
  });

  it('is given up on when it stays open', async function () {
    this.timeout(10_000);
    const { rename } = failing('EBUSY', Infinity);
    await assert.rejects(moveOver('a', 'b', { rename, windows: true }), { code: 'EBUSY' });
  });
});
