import assert from 'node:assert/strict';
import { markAsUntransferable } from 'node:worker_threads';
import { letGo } from '../../../src/transport/letGo';

const held = (): number => process.memoryUsage().arrayBuffers;

describe('bytes that are let go', () => {
  it('leave the memory at once', () => {
    const before = held();
    for (let packet = 0; packet < 1000; packet++) {
      const payload = Buffer.alloc(32_784);
      letGo(payload.subarray(13, -7));
      assert.equal(payload.length, 0);
    }
    assert.ok(held() - before < 1e6, `${held() - before} bytes are held`);
  });

  it('stay where others have the same memory, where they are few, and where they cannot be moved', () => {
    for (const [size, from, to] of [
      [65_536, 0, 32_768],
      [65_536, 300, 65_536],
      [400, 0, 400],
    ] as const) {
      const memory = Buffer.alloc(size, 1);
      letGo(memory.subarray(from, to));
      assert.equal(memory.length, size);
    }
    const unmovable = Buffer.alloc(65_536);
    markAsUntransferable(unmovable.buffer);
    letGo(unmovable);
    assert.equal(unmovable.length, 65_536);
    const pooled = Buffer.from('of the pool');
    letGo(pooled);
    assert.equal(pooled.toString(), 'of the pool');
  });
});
