import { writeSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { systemCodeOf } from './errors';
import { moveOver } from './moveOver';

/** An open file, written at explicit offsets. */
export interface DiskFile {
  /** Writes some of the bytes at the offset; resolves to how many were written. */
  write(bytes: Uint8Array, offset: number): Promise<number>;
  /** Resolves when what was written survives a power cut. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** The few file operations the store rests on; tests pass one that fails or loses power. */
export interface Disk {
  /** The whole file, or undefined when there is none. */
  read(path: string): Promise<Buffer | undefined>;
  /** An existing file for writing. */
  open(path: string): Promise<DiskFile>;
  /** A new empty file, readable by its owner only; an old one under the name is replaced. */
  create(path: string): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Whether a file can be replaced by `rename` while it is open; else it has to be closed before. */
  readonly replacesOpenFiles: boolean;
  /** No error when there is no such file. */
  remove(path: string): Promise<void>;
  /** Names in a folder; none when there is no such folder. */
  list(path: string): Promise<string[]>;
  /** Creates the folder and its parents, open to its owner only. */
  makeFolder(path: string): Promise<void>;
  /** Resolves when names created or renamed in the folder survive a power cut. */
  syncFolder(path: string): Promise<void>;
}

/** The real disk. */
export const nodeDisk: Disk = {
  async read(path) {
    try {
      return await fs.readFile(path);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  },
  async open(path) {
    return new NodeFile(await fs.open(path, 'r+'));
  },
  async create(path) {
    return new NodeFile(await fs.open(path, 'w', 0o600));
  },
  rename: (from, to) => moveOver(from, to),
  replacesOpenFiles: process.platform !== 'win32',
  remove: (path) => fs.rm(path, { force: true }),
  async list(path) {
    try {
      return await fs.readdir(path);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return [];
      throw error;
    }
  },
  async makeFolder(path) {
    await fs.mkdir(path, { recursive: true, mode: 0o700 });
  },
  async syncFolder(path) {
    // Windows opens no folders, and NTFS journals its own metadata.
    if (process.platform === 'win32') return;
    const folder = await fs.open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};

// Bytes that go into the kernel's memory in less time than it takes to have a thread of the pool do it (0.05 to 0.1 ms).
const QUICK_BYTES = 16 * 1024;

class NodeFile implements DiskFile {
  constructor(private readonly handle: fs.FileHandle) {}

  async write(bytes: Uint8Array, offset: number): Promise<number> {
    if (bytes.length <= QUICK_BYTES) return writeSync(this.handle.fd, bytes, 0, bytes.length, offset);
    return (await this.handle.write(bytes, 0, bytes.length, offset)).bytesWritten;
  }

  // fdatasync also carries the new length of a grown file; it only spares the time stamps.
  sync = (): Promise<void> => this.handle.datasync();
  truncate = (length: number): Promise<void> => this.handle.truncate(length);
  close = (): Promise<void> => this.handle.close();
}

/** Writes all the bytes; a disk that fills up gives a short count first and its error on the next call. */
export async function writeAll(file: DiskFile, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await file.write(bytes.subarray(done), offset + done);
    if (count <= 0) throw new Error('the disk took no bytes');
    done += count;
  }
}

/** Puts a whole durable file under the name of a temporary one and leaves it open; nothing stays behind on an error. */
export async function writeDurable(disk: Disk, path: string, parts: readonly Uint8Array[]): Promise<void> {
  try {
    const file = await disk.create(path);
    try {
      let offset = 0;
      for (const part of parts) {
        await writeAll(file, part, offset);
        offset += part.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    // The error that brought us here is the one worth telling.
    await disk.remove(path).catch(() => undefined);
    throw error;
  }
}
