import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { list as enumerated } from '../../queue/words';
import { moveOver } from '../../store';
import { QueueError } from '../errors';
import { Contents, SMALL_BYTES, type ContentReader, type ContentWriter } from './contents';
import { decodeManifest, encodeManifest, snapshotName, type Entry, type Manifest } from './manifest';
import { IgnoreRules } from './ignoreRules';
import { Seen, type SeenContent } from './seen';
import { Slices } from './slices';
import { walk, type Found } from './walk';
import { isProgram } from './windows';

/** What is taken along. */
export interface TakeOptions {
  /** Leaves out `.git`, which goes along otherwise, as with SkyPilot. */
  readonly leaveOutGit?: boolean;
  /** False: also what `.skyignore` and `.gitignore` name is taken along. */
  readonly ignoreFiles?: boolean;
}

// What was not used for so long makes room.
const KEPT_MS = 14 * 24 * 3600_000;
// A snapshot whose job is not in the store yet.
const FRESH_MS = 10 * 60_000;
// How many snapshots are offered to a node to build a new one from.
const MOST_BASES = 12;
// So many names of what is left out are told.
const MOST_NAMES = 3;
// How often a file is read again that changes while it is read.
const MOST_READS = 3;

/**
 * Snapshots of workdirs on this machine: `snapshots/NAME` says what is in each, `contents/` has the bytes, and `seen/` says
 * which files need not be read again.
 */
export class Snapshots {
  private readonly contents: Contents;
  private readonly taking = new Map<string, { running: Promise<string>; next?: Promise<string> }>();
  /** The last few manifests, by name. */
  private readonly manifests = new Map<string, Manifest>();
  /** What the last snapshot of a folder lacks, in words, by the folder and how it was taken. */
  private readonly lacks = new Map<string, string>();
  /** Names of snapshots, the newest last. */
  private recent: string[] | undefined;

  /** `windows`: files have no permissions that say what may be run. */
  constructor(
    private readonly dir: string,
    private readonly windows = process.platform === 'win32',
  ) {
    this.contents = new Contents(path.join(dir, 'contents'));
  }

  /**
   * Takes a folder, or a single file, as it is now, and returns the snapshot's name; on disk when this resolves. Only files
   * that have changed since the last time are read. Requests that come while the folder is being read share the next one.
   * @throws QueueError `workdir` when the folder cannot be read
   */
  take(folder: string, options: TakeOptions = {}): Promise<string> {
    const key = keyOf(folder, options);
    const now = this.taking.get(key);
    if (now) {
      now.next ??= now.running
        .catch(() => undefined)
        .then(() => {
          this.taking.delete(key);
          return this.take(folder, options);
        });
      return now.next;
    }
    const running = this.takeNow(folder, options, key);
    const entry: { running: Promise<string>; next?: Promise<string> } = { running };
    this.taking.set(key, entry);
    const end = (): void => {
      if (entry.next === undefined) this.taking.delete(key);
    };
    running.then(end, end);
    return running;
  }

  /** What did not come along when a folder was last taken like this, in words; undefined when all did. */
  lacking(folder: string, options: TakeOptions = {}): string | undefined {
    return this.lacks.get(keyOf(folder, options));
  }

  /** What is in a snapshot. @throws Error when it is not kept */
  async manifest(name: string): Promise<Manifest> {
    const known = this.manifests.get(name);
    if (known) return known;
    let text: string;
    try {
      text = await readFile(this.manifestFile(name), 'utf8');
    } catch {
      throw new Error(`the snapshot ${name} is gone from this machine: queue the job, or launch, again`);
    }
    const manifest = decodeManifest(text);
    this.remember(name, manifest);
    return manifest;
  }

  /** Names of other snapshots that a node may have, the newest first. */
  async others(name: string): Promise<string[]> {
    const recent = await this.names();
    return recent
      .filter((other) => other !== name)
      .slice(-MOST_BASES)
      .reverse();
  }

  async reader(): Promise<ContentReader> {
    await this.contents.load();
    return this.contents.reader();
  }

  /**
   * Removes the contents that no snapshot in `wanted` needs, except for the latest of each workdir, which saves reading it
   * again; and what was not used for two weeks.
   */
  async sweep(wanted: ReadonlySet<string>): Promise<void> {
    await this.contents.load();
    const now = Date.now();
    const live = new Set(wanted);
    for (const name of await list(path.join(this.dir, 'seen'))) {
      const file = path.join(this.dir, 'seen', name);
      if (await olderThan(file, now - KEPT_MS)) await rm(file, { force: true });
      else {
        const { latest } = await Seen.open(file);
        if (latest !== undefined) live.add(latest);
      }
    }
    const hashes = new Set<string>();
    for (const name of await list(path.join(this.dir, 'snapshots'))) {
      const file = this.manifestFile(name);
      const fresh = !(await olderThan(file, now - FRESH_MS));
      if (live.has(name) || fresh) {
        for (const entry of await this.manifest(name)) if (entry.kind === 'file') hashes.add(entry.hash);
      } else if (await olderThan(file, now - KEPT_MS)) {
        await rm(file, { force: true });
      }
    }
    this.recent = undefined;
    await this.contents.keep((hash) => hashes.has(hash));
  }

  private async takeNow(folder: string, options: TakeOptions, key: string): Promise<string> {
    let writer: ContentWriter | undefined;
    try {
      await this.contents.load();
      writer = this.contents.write();
      const seen = await Seen.open(path.join(this.dir, 'seen', shortHash(key)));
      const special: string[] = [];
      const manifest = await this.read(folder, options, { seen, writer, special });
      await writer.finish();
      const name = snapshotName(manifest);
      await this.keep(name, manifest);
      await seen.save(name);
      if (special.length === 0) this.lacks.delete(key);
      else
        this.lacks.set(
          key,
          `left out, because only files, folders and links are sent: ${enumerated(special, MOST_NAMES)}`,
        );
      return name;
    } catch (error) {
      await writer?.abandon();
      const words = error instanceof Error ? error.message : String(error);
      throw new QueueError('workdir', `${folder} could not be read: ${words}`);
    }
  }

  private async read(
    folder: string,
    { leaveOutGit = false, ignoreFiles = true }: TakeOptions,
    { seen, writer, special }: { seen: Seen; writer: ContentWriter; special: string[] },
  ): Promise<Manifest> {
    const manifest: Entry[] = [];
    const slices = new Slices();
    for (const found of walk(
      folder,
      ignoreFiles ? IgnoreRules.at(folder, leaveOutGit) : IgnoreRules.none(leaveOutGit),
    )) {
      await slices.pause();
      const { path: inside, stats } = found;
      if (found.kind === 'special') {
        special.push(inside);
        continue;
      }
      const given = this.windows ? (found.kind === 'folder' ? 0o755 : 0o644) : stats.mode & 0o777;
      const mtime = Math.floor(stats.mtimeMs / 1000);
      if (found.kind === 'folder') manifest.push({ kind: 'folder', path: inside, mode: given, mtime });
      else if (found.kind === 'link')
        manifest.push({ kind: 'link', path: inside, mtime, target: found.target });
      else {
        const content = await this.content(found, seen, writer);
        if (!content) continue;
        const { hash, size, program } = content;
        manifest.push({
          kind: 'file',
          path: inside,
          mode: program === true ? given | 0o111 : given,
          mtime,
          size,
          hash,
        });
      }
    }
    return manifest;
  }

  /** The content of a file, read only when it has changed; undefined when the file has just gone. */
  private async content(
    found: Extract<Found, { kind: 'file' }>,
    seen: Seen,
    writer: ContentWriter,
  ): Promise<(SeenContent & { size: number }) | undefined> {
    const { path: inside, full, stats } = found;
    const known = seen.hashOf(inside, stats);
    if (known !== undefined && this.contents.has(known)) {
      const content = { hash: known, program: seen.isProgram(inside) };
      seen.note(inside, stats, content);
      return { ...content, size: stats.size };
    }
    try {
      const readAt = Date.now();
      if (stats.size > SMALL_BYTES) {
        const content = { ...(await writer.large(full)), program: this.windows && isProgram(headOf(full)) };
        // Had it changed meanwhile, its times would differ from those noted here.
        if (content.size === stats.size) seen.note(inside, stats, content, readAt);
        return content;
      }
      const { bytes, stats: read } = readWhole(full);
      const content = { hash: writer.small(bytes), program: this.windows && isProgram(bytes) };
      if (bytes.length === read.size) seen.note(inside, read, content, readAt);
      return { ...content, size: bytes.length };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Writes down what is in a snapshot, unless that is known. */
  private async keep(name: string, manifest: Manifest): Promise<void> {
    this.remember(name, manifest);
    const names = await this.names();
    const file = this.manifestFile(name);
    if (names.includes(name)) {
      const now = new Date();
      await utimes(file, now, now);
    } else {
      const partial = `${file}.new`;
      const handle = await open(partial, 'w', 0o600);
      await handle.writeFile(encodeManifest(manifest));
      await handle.datasync();
      await handle.close();
      await moveOver(partial, file);
    }
    this.recent = [...names.filter((other) => other !== name), name];
  }

  private remember(name: string, manifest: Manifest): void {
    this.manifests.delete(name);
    this.manifests.set(name, manifest);
    const [oldest] = this.manifests.keys();
    if (this.manifests.size > 4 && oldest !== undefined) this.manifests.delete(oldest);
  }

  private async names(): Promise<string[]> {
    if (this.recent) return this.recent;
    const dir = path.join(this.dir, 'snapshots');
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const dated = await Promise.all(
      (await list(dir)).map(async (name) => ({ name, at: (await stat(path.join(dir, name))).mtimeMs })),
    );
    this.recent = dated.sort((a, b) => a.at - b.at).map(({ name }) => name);
    return this.recent;
  }

  private manifestFile(name: string): string {
    return path.join(this.dir, 'snapshots', name);
  }
}

function keyOf(folder: string, { leaveOutGit, ignoreFiles }: TakeOptions): string {
  return JSON.stringify([folder, leaveOutGit === true, ...(ignoreFiles === false ? ['all'] : [])]);
}

/** All bytes of a small file, and what it was when they were read; read again when it changed meanwhile. */
function readWhole(full: string): { bytes: Buffer; stats: Stats } {
  const handle = openSync(full, 'r');
  try {
    for (let reads = 1; ; reads++) {
      const stats = fstatSync(handle);
      const bytes = readFrom(handle, stats.size);
      const after = fstatSync(handle);
      if (reads === MOST_READS || (after.size === bytes.length && after.mtimeMs === stats.mtimeMs))
        return { bytes, stats };
    }
  } finally {
    closeSync(handle);
  }
}

function headOf(full: string): Buffer {
  const handle = openSync(full, 'r');
  try {
    return readFrom(handle, 4);
  } finally {
    closeSync(handle);
  }
}

function readFrom(handle: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let done = 0;
  while (done < size) {
    const read = readSync(handle, bytes, done, size - done, done);
    if (read === 0) break;
    done += read;
  }
  return bytes.subarray(0, done);
}

/** Whole names only: what a crash has left half-written ends in `.new`. */
async function list(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).filter((name) => !name.includes('.'));
}

async function olderThan(file: string, when: number): Promise<boolean> {
  return (await stat(file)).mtimeMs < when;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
