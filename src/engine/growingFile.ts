import * as fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

// To close a file on a server writes what is still in memory of it.
const CLOSED_AT_ONCE_BYTES = 64 * 1024;

/** A file that is appended to. What is small is done at once: it is over sooner than a thread of the pool has heard of it. */
export class GrowingFile {
  private constructor(private descriptor: number) {}

  /** Its descriptor, for writes; none, which nothing can be written to, once it is closed. */
  get fd(): number {
    return this.descriptor;
  }

  /** Makes a file that is not there, and its folder; undefined when there is one. */
  static create(file: string): GrowingFile | undefined {
    for (let madeFolder = false; ; madeFolder = true) {
      try {
        return new GrowingFile(fs.openSync(file, 'ax+', 0o600));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EEXIST') return undefined;
        if (code !== 'ENOENT' || madeFolder) throw error;
        fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      }
    }
  }

  /** Opens a file, or makes it. */
  static async open(file: string): Promise<GrowingFile> {
    return new GrowingFile(await promisify(fs.open)(file, 'a+', 0o600));
  }

  get size(): number {
    return fs.fstatSync(this.fd).size;
  }

  /** Adds some of the bytes, in order; says how many. */
  async writev(buffers: readonly Buffer[]): Promise<number> {
    return (await promisify(fs.writev)(this.fd, buffers)).bytesWritten;
  }

  /** Adds all of the bytes. */
  append(bytes: Buffer): Promise<void> {
    return promisify(fs.appendFile)(this.fd, bytes);
  }

  /** The byte at a position; undefined at the end. */
  byteAt(position: number): number | undefined {
    const byte = Buffer.alloc(1);
    return fs.readSync(this.fd, byte, 0, 1, position) === 1 ? byte[0] : undefined;
  }

  async close(): Promise<void> {
    const fd = this.descriptor;
    if (fd < 0) return;
    const { size } = this;
    // Before it is closed: the number may then be another file's.
    this.descriptor = -1;
    if (size <= CLOSED_AT_ONCE_BYTES) fs.closeSync(fd);
    else await promisify(fs.close)(fd);
  }
}
