const BLOCK_BYTES = 64 * 1024;
// What all logs together keep for those who write next.
const MOST_SPARE = 32;

const spare: Buffer[] = [];

/** Copies of bytes that wait until they are written, in memory that is then used for others. */
export class Gathered {
  private readonly blocks: { readonly memory: Buffer; used: number }[] = [];
  /** How many bytes there are. */
  size = 0;

  /** Takes a copy, and returns it: it is good until all is released. */
  add(bytes: Buffer): Buffer {
    let block = this.blocks.at(-1);
    if (!block || block.memory.length - block.used < bytes.length) {
      block = { memory: memoryFor(bytes.length), used: 0 };
      this.blocks.push(block);
    }
    const copy = block.memory.subarray(block.used, block.used + bytes.length);
    bytes.copy(copy);
    block.used += bytes.length;
    this.size += bytes.length;
    return copy;
  }

  /** All bytes, in order. */
  get buffers(): Buffer[] {
    return this.blocks.map(({ memory, used }) => memory.subarray(0, used));
  }

  /** Nobody needs the bytes any more. */
  release(): void {
    for (const { memory } of this.blocks.splice(0)) {
      if (memory.length === BLOCK_BYTES && spare.length < MOST_SPARE) spare.push(memory);
    }
  }
}

function memoryFor(length: number): Buffer {
  if (length > BLOCK_BYTES) return Buffer.allocUnsafeSlow(length);
  return spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
}
