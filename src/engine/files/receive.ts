import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { copyFile, lstat, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { makeFolder, moveOver } from '../../store';
import { windowsFlaw } from './windows';

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
  windows = process.platform === 'win32',
): Promise<Received> {
  const receiver = new Receiver(path.resolve(dir), progress, windows);
  const archive = extract();
  const entries = async (): Promise<void> => {
    for await (const entry of archive) {
      await receiver.entry(entry.header, entry as unknown as Readable);
      entry.resume();
    }
  };
  await makeFolder(dir).catch((error: unknown) => {
    throw new Error(
      `${dir} cannot be made (${error instanceof Error ? error.message : String(error)}): name another folder`,
    );
  });
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
  /** Files that came, by a name in which upper and lower case are the same. */
  private readonly came = new Map<string, string>();

  constructor(
    private readonly root: string,
    private readonly progress: (files: number, bytes: number) => void,
    private readonly windows: boolean,
  ) {}

  async entry(header: Header, content: Readable): Promise<void> {
    const full = this.inside(header.name);
    const flaw = this.windows
      ? (windowsFlaw(header.name) ?? (header.type === 'link' ? windowsFlaw(header.linkname) : undefined))
      : undefined;
    if (flaw !== undefined) {
      this.skipped.push(`${header.name}: ${flaw}`);
      return;
    }
    switch (header.type) {
      case 'directory':
        await this.folder(full);
        return;
      case 'file':
      case 'contiguous-file':
        await this.folder(path.dirname(full));
        if (await this.isAnother(full, header.name)) return;
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
    if (name.startsWith('/') || parts.includes('..'))
      throw new Error(
        `the node sent ${JSON.stringify(name)}, which leads out of the folder: nothing of it was written`,
      );
    return path.join(this.root, ...parts);
  }

  /** On a disk of macOS or Windows `A` and `a` are one file: the second would take the place of the first. */
  private async isAnother(full: string, name: string): Promise<boolean> {
    const key = name.normalize('NFC').toLowerCase();
    const first = this.came.get(key);
    this.came.set(key, first ?? name);
    if (first === undefined || first === name) return false;
    const [there, other] = await Promise.all(
      [full, this.inside(first)].map((file) => lstat(file, { bigint: true }).catch(() => undefined)),
    );
    if (!there || !other || there.ino !== other.ino || there.dev !== other.dev) return false;
    this.skipped.push(`${name}: this disk takes it for ${first}`);
    return true;
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
      await moveOver(partial, full);
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
    try {
      await symlink(linkname, full);
    } catch (error) {
      if (!this.windows) throw error;
      this.skipped.push(
        `${name}: a link to ${linkname}, and Windows lets you make none (turn on Developer Mode)`,
      );
    }
  }
}
