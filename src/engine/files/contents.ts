import { randomUUID } from 'node:crypto';
import { closeSync, constants, createReadStream, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { moveOver } from '../../store';
import { contentHash, ContentHasher } from './manifest';

/** Where some content lies: the whole of a file of its own, or a part of a pack. */
interface Place {
  readonly file: string;
  readonly offset: number;
  readonly size: number;
}

type PackRow = readonly [hash: string, offset: number, size: number];

const READ_BYTES = 1 << 20;
/** Files up to this size share a pack, as making a file costs more than writing it. */
export const SMALL_BYTES = 1 << 20;

/**
 * File contents by their hash, below one folder: `HASH` for a large one; `NAME.pack` with `NAME.json`, which says what is
 * in it, for the small ones of one snapshot. A pack counts once its index is there. One process has the folder at a time.
 */
export class Contents {
  private places: Map<string, Place> | undefined;

  constructor(private readonly dir: string) {}

  /** Learns what is kept; once. What a crash has left unfinished goes. */
  async load(): Promise<void> {
    if (this.places) return;
    const places = new Map<string, Place>();
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const names = new Set(await readdir(this.dir));
    for (const name of names) {
      const file = path.join(this.dir, name);
      if (/^[0-9a-f]{32}$/.test(name)) {
        places.set(name, { file, offset: 0, size: -1 });
      } else if (name.endsWith('.json') && names.has(packOf(name))) {
        const rows = JSON.parse(await readFile(file, 'utf8')) as PackRow[];
        for (const [hash, offset, size] of rows)
          places.set(hash, { file: path.join(this.dir, packOf(name)), offset, size });
      } else if (!(name.endsWith('.pack') && names.has(indexOf(name)))) {
        await rm(file, { force: true });
      }
    }
    this.places = places;
  }

  has(hash: string): boolean {
    return this.known.has(hash);
  }

  /** Takes in the new contents of one snapshot; they count when it is finished. */
  write(): ContentWriter {
    return new ContentWriter(
      this.dir,
      (hash) => this.known.has(hash),
      (hash, place) => this.known.set(hash, place),
    );
  }

  /** Reads contents one after the other; fast when they are asked for in the order in which they were taken. */
  reader(): ContentReader {
    return new ContentReader((hash) => this.known.get(hash));
  }

  /** Removes what is not wanted: large contents, and packs of which nothing is. */
  async keep(wanted: (hash: string) => boolean): Promise<void> {
    const live = new Set<string>();
    for (const [hash, { file }] of this.known) if (wanted(hash)) live.add(file);
    for (const [hash, { file }] of [...this.known]) if (!live.has(file)) this.known.delete(hash);
    for (const name of await readdir(this.dir)) {
      const pack = name.endsWith('.json') ? packOf(name) : name;
      const kept = /^[0-9a-f]{32}$|\.pack$/.test(pack);
      if (kept && !live.has(path.join(this.dir, pack))) await rm(path.join(this.dir, name), { force: true });
    }
  }

  private get known(): Map<string, Place> {
    if (!this.places) throw new Error('the contents were not loaded');
    return this.places;
  }
}

/** Takes in contents. Small ones are written at once, without waiting: a snapshot has thousands. */
export class ContentWriter {
  private readonly name = randomUUID();
  private readonly rows = new Map<string, PackRow>();
  private chunks: Buffer[] = [];
  private pending = 0;
  private written = 0;
  private pack: number | undefined;

  constructor(
    private readonly dir: string,
    private readonly has: (hash: string) => boolean,
    private readonly add: (hash: string, place: Place) => void,
  ) {}

  /** Takes in some bytes and returns their hash. */
  small(bytes: Buffer): string {
    const hash = contentHash(bytes);
    if (this.has(hash) || this.rows.has(hash)) return hash;
    this.rows.set(hash, [hash, this.written + this.pending, bytes.length]);
    this.chunks.push(bytes);
    this.pending += bytes.length;
    if (this.pending >= READ_BYTES) this.flush();
    return hash;
  }

  /** Takes in a large file as it is while it is read; nothing of it is held in memory. */
  async large(full: string): Promise<{ hash: string; size: number }> {
    const partial = path.join(this.dir, `${randomUUID()}.new`);
    const hasher = new ContentHasher();
    try {
      if (await cloned(full, partial)) {
        for await (const chunk of createReadStream(partial, { highWaterMark: READ_BYTES }))
          hasher.update(chunk as Buffer);
      } else {
        const copy = await open(partial, 'w', 0o600);
        try {
          for await (const chunk of createReadStream(full, { highWaterMark: READ_BYTES })) {
            hasher.update(chunk as Buffer);
            await copy.write(chunk as Buffer);
          }
          await copy.datasync();
        } finally {
          await copy.close();
        }
      }
      const { size } = hasher;
      const hash = hasher.end();
      if (this.has(hash)) {
        await rm(partial, { force: true });
      } else {
        const file = path.join(this.dir, hash);
        await moveOver(partial, file);
        this.add(hash, { file, offset: 0, size: -1 });
      }
      return { hash, size };
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** Makes what was taken in last: on the disk when this resolves, as the job that needs it will be. */
  async finish(): Promise<void> {
    if (this.rows.size === 0) return;
    this.flush();
    const file = path.join(this.dir, `${this.name}.pack`);
    if (this.pack !== undefined) {
      fdatasyncSync(this.pack);
      this.closePack();
    }
    const index = path.join(this.dir, `${this.name}.json`);
    await writeFile(`${index}.new`, JSON.stringify([...this.rows.values()]), { mode: 0o600, flush: true });
    await moveOver(`${index}.new`, index);
    for (const [hash, offset, size] of this.rows.values()) this.add(hash, { file, offset, size });
  }

  /** Gives up; what was taken in is gone. */
  async abandon(): Promise<void> {
    this.closePack();
    await rm(path.join(this.dir, `${this.name}.pack`), { force: true });
  }

  private flush(): void {
    this.pack ??= openSync(path.join(this.dir, `${this.name}.pack`), 'w', 0o600);
    let bytes = this.chunks.length === 1 && this.chunks[0] ? this.chunks[0] : Buffer.concat(this.chunks);
    this.written += this.pending;
    this.chunks = [];
    this.pending = 0;
    while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.pack, bytes));
  }

  private closePack(): void {
    if (this.pack !== undefined) closeSync(this.pack);
    this.pack = undefined;
  }
}

/** Reads contents; close it at the end. */
export class ContentReader {
  private file = '';
  private handle: FileHandle | undefined;
  private closed = false;
  private window = Buffer.alloc(0);
  private start = 0;

  constructor(private readonly place: (hash: string) => Place | undefined) {}

  /** The bytes of some content, in pieces. @throws Error when it is not kept, or is not as long as it should be */
  async *read(hash: string, size: number): AsyncGenerator<Buffer> {
    const place = this.place(hash);
    if (!place) throw new Error(`the content ${hash} of a snapshot is gone from this machine`);
    const handle = await this.opened(place.file);
    for (let done = 0; done < size;) {
      const at = place.offset + done;
      if (at < this.start || at >= this.start + this.window.length) {
        const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at);
        if (bytesRead === 0) throw new Error(`${place.file} is shorter than it was: a snapshot is damaged`);
        this.window = buffer.subarray(0, bytesRead);
        this.start = at;
      }
      const from = at - this.start;
      const piece = this.window.subarray(from, from + size - done);
      done += piece.length;
      yield piece;
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.letGo();
  }

  private async letGo(): Promise<void> {
    await this.handle?.close();
    this.handle = undefined;
  }

  private async opened(file: string): Promise<FileHandle> {
    if (this.handle && this.file === file) return this.handle;
    await this.letGo();
    this.file = file;
    this.window = Buffer.alloc(0);
    const handle = await open(file, 'r');
    if (this.closed) {
      // The connection broke meanwhile.
      await handle.close();
      throw new Error('closed');
    }
    this.handle = handle;
    return handle;
  }
}

/** Where the file system can share the blocks of two files, a copy costs neither time nor room. */
async function cloned(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  }
}

function packOf(index: string): string {
  return index.replace(/\.json$/, '.pack');
}

function indexOf(pack: string): string {
  return pack.replace(/\.pack$/, '.json');
}
