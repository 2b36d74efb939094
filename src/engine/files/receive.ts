import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { copyFile, lstat, mkdir, rename, rm, symlink, utimes } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';

/** What came. `skipped`: what was left out, each with the reason. */
export interface Received {
  readonly files: number;
  readonly bytes: number;
  readonly skipped: readonly string[];
}

/**
 * Unpacks a tar stream below a folder and nowhere else: a name that leads out of it is an error, and so is one whose way
 * leads through a symbolic link; links that point out of it are left out. A file appears when it is whole.
 * @throws Error that names the entry
 */
export async function receiveTar(
  source: AsyncIterable<Buffer>,
  dir: string,
  progress: (files: number, bytes: number) => void,
): Promise<Received> {
  const receiver = new Receiver(path.resolve(dir), progress);
  const archive = extract();
  const entries = async (): Promise<void> => {
    for await (const entry of archive) {
      await receiver.entry(entry.header, entry as unknown as Readable);
      entry.resume();
    }
  };
  await mkdir(dir, { recursive: true });
  const results = await Promise.allSettled([
    pipeline(source, archive),
    entries().catch((error: unknown) => {
      const cause = error instanceof Error ? error : new Error(String(error));
      archive.destroy(cause);
      throw cause;
    }),
  ]);
  // The entry's own words first: that the stream ended early is what came of them.
  for (const result of results.reverse()) if (result.status === 'rejected') throw result.reason;
  return receiver;
}

class Receiver implements Received {
  files = 0;
  bytes = 0;
  readonly skipped: string[] = [];
  /** Folders that were seen to be folders. */
  private readonly safe = new Set<string>();

  constructor(
    private readonly root: string,
    private readonly progress: (files: number, bytes: number) => void,
  ) {}

  async entry(header: Header, content: Readable): Promise<void> {
    const full = this.inside(header.name);
    switch (header.type) {
      case 'directory':
        await this.folder(full);
        return;
      case 'file':
      case 'contiguous-file':
        await this.folder(path.dirname(full));
        await this.file(full, header, content);
        return;
      case 'symlink':
        await this.link(full, header);
        return;
      case 'link': {
        // Two names of one file: each gets the bytes, and nothing is followed.
        const other = this.inside(header.linkname);
        await this.folder(path.dirname(full));
        await this.folder(path.dirname(other));
        if (!(await lstat(other)).isFile()) throw new Error(`${header.name} refers to what is not a file`);
        await copyFile(other, full);
        this.files++;
        return;
      }
      default:
        this.skipped.push(`${header.name}: neither a file nor a folder`);
    }
  }

  /** Where an entry belongs. @throws Error for a name that leads out */
  private inside(name: string): string {
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    const windows = process.platform === 'win32' && parts.some((part) => /[\\:]/.test(part));
    if (name.startsWith('/') || parts.includes('..') || windows)
      throw new Error(
        `the node sent ${JSON.stringify(name)}, which leads out of the folder: nothing of it was written`,
      );
    return path.join(this.root, ...parts);
  }

  /** Makes a folder and those above it. @throws Error when one of them is a link or a file */
  private async folder(full: string): Promise<void> {
    if (full === this.root || this.safe.has(full)) return;
    await this.folder(path.dirname(full));
    const stats = await lstat(full).catch(() => undefined);
    if (!stats) await mkdir(full);
    else if (!stats.isDirectory())
      throw new Error(
        `${full} is ${stats.isSymbolicLink() ? 'a symbolic link' : 'not a folder'} here: fetch into another folder`,
      );
    this.safe.add(full);
  }

  private async file(full: string, header: Header, content: Readable): Promise<void> {
    const partial = path.join(path.dirname(full), `.cq-${randomUUID()}`);
    const meter = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        this.bytes += chunk.length;
        this.progress(this.files, this.bytes);
        done(null, chunk);
      },
    });
    try {
      await pipeline(content, meter, createWriteStream(partial, { mode: header.mode & 0o777, flags: 'wx' }));
      await utimes(partial, header.mtime, header.mtime);
      // Replaces a link of that name instead of writing through it.
      await rename(partial, full);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    this.files++;
    this.progress(this.files, this.bytes);
  }

  private async link(full: string, { name, linkname }: Header): Promise<void> {
    const to = path.resolve(path.dirname(full), linkname);
    if (path.isAbsolute(linkname) || !`${to}${path.sep}`.startsWith(`${this.root}${path.sep}`)) {
      this.skipped.push(`${name}: a link to ${linkname}, outside of the folder`);
      return;
    }
    await this.folder(path.dirname(full));
    const there = await lstat(full).catch(() => undefined);
    if (there?.isDirectory()) throw new Error(`${full} is a folder here: fetch into another folder`);
    this.safe.delete(full);
    await rm(full, { force: true });
    await symlink(linkname, full);
  }
}
