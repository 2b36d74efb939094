import type { Disk, DiskFile } from '../../../src/store/disk';

interface Inode {
  data: Buffer;
  /** What a power cut leaves for certain. */
  synced: Buffer;
}

/** What is about to happen; a hook that throws makes it fail. */
export type Operation = 'create' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncFolder';

/** A disk in memory that may refuse, fill up, and lose what was not synced. Folders exist by themselves. */
export class SimulatedDisk implements Disk {
  /** Called before each operation; throws to make it fail. */
  before: (operation: Operation, path: string) => void = () => undefined;
  /** As on Windows, which renames no file over one that is open. */
  replacesOpenFiles = true;
  private readonly opened = new Map<Inode, number>();
  /** Bytes all files may have together. */
  capacity = Infinity;
  private readonly names: Map<string, Inode>;
  private durableNames: Map<string, Inode>;
  /** The names after each change since the folder was synced: a power cut leaves any of them. */
  private unsyncedNames: Map<string, Inode>[] = [];

  constructor(files: Readonly<Record<string, Buffer>> = {}) {
    this.names = new Map(
      Object.entries(files).map(([path, bytes]) => [
        path,
        { data: Buffer.from(bytes), synced: Buffer.from(bytes) },
      ]),
    );
    this.durableNames = new Map(this.names);
  }

  /** All files as a program sees them. */
  files(): Record<string, Buffer> {
    return Object.fromEntries([...this.names].map(([path, { data }]) => [path, Buffer.from(data)]));
  }

  /** The disk after a power cut; `choose(n)` gives a number below n. */
  afterPowerCut(choose: (n: number) => number): SimulatedDisk {
    const candidates = [this.durableNames, ...this.unsyncedNames];
    const names = candidates[choose(candidates.length)] ?? this.durableNames;
    const survivors = [...names].map(([path, inode]): [string, Buffer] => [path, survivor(inode, choose)]);
    return new SimulatedDisk(Object.fromEntries(survivors));
  }

  read(path: string): Promise<Buffer | undefined> {
    const inode = this.names.get(path);
    return Promise.resolve(inode && Buffer.from(inode.data));
  }

  async open(path: string): Promise<DiskFile> {
    await Promise.resolve();
    const inode = this.names.get(path);
    if (!inode) throw systemError('ENOENT');
    return this.file(path, inode);
  }

  async create(path: string): Promise<DiskFile> {
    await this.begin('create', path);
    const inode: Inode = { data: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.changeNames(() => this.names.set(path, inode));
    return this.file(path, inode);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.begin('rename', to);
    const inode = this.names.get(from);
    if (!inode) throw systemError('ENOENT');
    const replaced = this.names.get(to);
    if (!this.replacesOpenFiles && replaced && this.opened.has(replaced)) throw systemError('EPERM');
    this.changeNames(() => this.names.set(to, inode).delete(from));
  }

  async remove(path: string): Promise<void> {
    await this.begin('remove', path);
    this.changeNames(() => this.names.delete(path));
  }

  list(path: string): Promise<string[]> {
    const names = [...this.names.keys()].filter((name) => name.startsWith(`${path}/`));
    return Promise.resolve(
      names.map((name) => name.slice(path.length + 1)).filter((name) => !name.includes('/')),
    );
  }

  makeFolder = (): Promise<void> => Promise.resolve();

  async syncFolder(path: string): Promise<void> {
    await this.begin('syncFolder', path);
    this.durableNames = new Map(this.names);
    this.unsyncedNames = [];
  }

  private changeNames(change: () => void): void {
    change();
    this.unsyncedNames.push(new Map(this.names));
  }

  private async begin(operation: Operation, path: string): Promise<void> {
    await Promise.resolve();
    this.before(operation, path);
  }

  private file(path: string, inode: Inode): DiskFile {
    this.opened.set(inode, (this.opened.get(inode) ?? 0) + 1);
    return {
      write: async (bytes, offset) => {
        const used = [...this.names.values()].reduce((sum, { data }) => sum + data.length, 0);
        const room = Math.max(0, this.capacity - used) + Math.max(0, inode.data.length - offset);
        const count = Math.min(bytes.length, room);
        const grown = Buffer.alloc(Math.max(inode.data.length, offset + count));
        inode.data.copy(grown);
        grown.set(bytes.subarray(0, count), offset);
        inode.data = grown;
        // After the bytes have arrived, so that a failing write may leave some or all of them.
        await this.begin('write', path);
        if (count === 0 && bytes.length > 0) throw systemError('ENOSPC');
        return count;
      },
      sync: async () => {
        await this.begin('sync', path);
        inode.synced = Buffer.from(inode.data);
      },
      truncate: async (length) => {
        await this.begin('truncate', path);
        inode.data = Buffer.concat([
          inode.data,
          Buffer.alloc(Math.max(0, length - inode.data.length)),
        ]).subarray(0, length);
      },
      close: () => {
        const left = (this.opened.get(inode) ?? 0) - 1;
        if (left > 0) this.opened.set(inode, left);
        else this.opened.delete(inode);
        return Promise.resolve();
      },
    };
  }
}

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

// Unsynced bytes reach a disk in any order: some of the new bytes, zeros where they are missing.
function survivor({ data, synced }: Inode, choose: (n: number) => number): Buffer {
  const kind = choose(4);
  if (kind === 0) return synced;
  if (kind === 1) return data;
  const length = synced.length + choose(Math.max(1, data.length - synced.length + 1));
  const mixed = Buffer.alloc(length);
  data.copy(mixed);
  synced.copy(mixed);
  if (kind === 2 || length <= synced.length) return mixed;
  const hole = synced.length + choose(length - synced.length);
  return mixed.fill(0, hole, Math.min(length, hole + choose(64)));
}
