import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import ignore, { type Ignore } from 'ignore';
import { pack, type Pack } from 'tar-stream';
import { unpackCommand, type AgentSession } from '../node';
import type { Channel } from '../transport';
import { QueueError } from './errors';

/**
 * Workdirs as they were at submit: one tar.gz per content under `dir`, sent once to each node that needs it. A job that
 * waited an hour runs the code of an hour ago.
 */
export class Workdirs {
  private readonly sending = new Map<string, Promise<void>>();

  constructor(private readonly dir: string) {}

  /**
   * Packs a folder, or a single file, and returns the name of the snapshot (a hash of all that is in it). What `.skyignore` at its root
   * names stays out; without one, what the `.gitignore` files in it name (as SkyPilot does; `.git` goes along).
   * @throws QueueError `workdir` when the folder cannot be read
   */
  async take(folder: string): Promise<string> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    const partial = path.join(this.dir, `new-${process.pid}-${String(Math.random()).slice(2)}`);
    try {
      const archive = pack();
      const hash = createHash('sha256');
      const tap = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk);
          done(null, chunk);
        },
      });
      const written = pipeline(
        archive,
        tap,
        createGzip({ level: 1 }),
        createWriteStream(partial, { mode: 0o600 }),
      );
      const walked = new Walk(archive, folder).run().then(
        () => archive.finalize(),
        (error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))),
      );
      await Promise.all([written, walked]);
      const name = hash.digest('hex').slice(0, 32);
      await rename(partial, this.file(name));
      return name;
    } catch (error) {
      await rm(partial, { force: true });
      throw new QueueError(
        'workdir',
        `the workdir ${folder} could not be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  /** Makes sure that a node has the snapshot unpacked. @throws Error with the node's words */
  async send(
    name: string,
    session: AgentSession,
    exec: (command: string) => Promise<Channel>,
  ): Promise<void> {
    const key = `${session.node}/${name}`;
    const under =
      this.sending.get(key) ?? this.sendOnce(name, session, exec).finally(() => this.sending.delete(key));
    this.sending.set(key, under);
    return under;
  }

  private async sendOnce(
    name: string,
    session: AgentSession,
    exec: (command: string) => Promise<Channel>,
  ): Promise<void> {
    if (await session.hasSnapshot(name)) return;
    const channel = await exec(unpackCommand(name));
    let said = '';
    channel.stdout.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-2000)));
    channel.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-2000)));
    // A node whose disk is full ends the command early; what it said counts, not that the pipe broke.
    await pipeline(createReadStream(this.file(name)), channel.stdin).catch(() => undefined);
    await channel.exit;
    if (!/^CQ1 ok$/m.test(said))
      throw new Error(
        `the workdir could not be put on ${session.node}: ${said.trim() || 'the connection broke'}`,
      );
  }

  /** Removes snapshots that no job in `wanted` needs. */
  async sweep(wanted: ReadonlySet<string>): Promise<void> {
    for (const entry of await readdir(this.dir).catch(() => [])) {
      if (!wanted.has(entry.replace(/\.tar\.gz$/, ''))) await rm(path.join(this.dir, entry), { force: true });
    }
  }

  private file(name: string): string {
    return path.join(this.dir, `${name}.tar.gz`);
  }
}

interface Rules {
  readonly base: string;
  readonly matcher: Ignore;
}

/** What a snapshot of a single file calls it; do_place in agent.sh knows the name too. */
const SINGLE = '.cluster-queue-file';

/** Adds a folder's files to an archive in an order that does not depend on the disk. */
class Walk {
  private nested = true;

  constructor(
    private readonly archive: Pack,
    private readonly root: string,
  ) {}

  async run(): Promise<void> {
    const found = await stat(this.root);
    if (found.isFile()) {
      await this.file(this.root, {
        name: SINGLE,
        mode: found.mode & 0o777,
        mtime: wholeSeconds(found.mtimeMs),
      });
      return;
    }
    const rules: Rules[] = [];
    const skyignore = await readFile(path.join(this.root, '.skyignore'), 'utf8').catch(() => undefined);
    if (skyignore !== undefined) {
      this.nested = false;
      rules.push({ base: '', matcher: ignore().add(skyignore) });
    } else {
      const exclude = await readFile(path.join(this.root, '.git', 'info', 'exclude'), 'utf8').catch(
        () => undefined,
      );
      if (exclude !== undefined) rules.push({ base: '', matcher: ignore().add(exclude) });
    }
    await this.folder('', rules);
  }

  private async folder(relative: string, inherited: readonly Rules[]): Promise<void> {
    const full = path.join(this.root, relative);
    const rules = [...inherited];
    if (this.nested) {
      const own = await readFile(path.join(full, '.gitignore'), 'utf8').catch(() => undefined);
      if (own !== undefined) rules.push({ base: relative, matcher: ignore().add(own) });
    }
    const entries = await readdir(full);
    for (const name of entries.sort()) {
      const inside = relative === '' ? name : `${relative}/${name}`;
      await this.entry(inside, rules);
    }
  }

  private async entry(inside: string, rules: readonly Rules[]): Promise<void> {
    const full = path.join(this.root, inside);
    const found = await lstat(full);
    if (ignored(inside, found.isDirectory(), rules)) return;
    const header = {
      name: inside,
      mode: found.mode & 0o777,
      mtime: wholeSeconds(found.mtimeMs),
    };
    if (found.isDirectory()) {
      await this.add({ ...header, type: 'directory' as const });
      await this.folder(inside, rules);
    } else if (found.isSymbolicLink()) {
      await this.add({ ...header, type: 'symlink' as const, linkname: await readlink(full) });
    } else if (found.isFile()) {
      await this.file(full, header);
    }
  }

  private add(header: Parameters<Pack['entry']>[0]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.archive.entry(header, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** A file that changes while it is read is taken as long as it was when it was opened. */
  private async file(full: string, header: { name: string; mode: number; mtime: Date }): Promise<void> {
    const { size } = await stat(full);
    const sink = this.archive.entry({ ...header, type: 'file', size });
    let left = size;
    if (size > 0) {
      for await (const chunk of createReadStream(full, { end: size - 1 })) {
        const bytes = chunk as Buffer;
        left -= bytes.length;
        if (!sink.write(bytes)) await drained(sink);
      }
    }
    while (left > 0) {
      const zeros = Buffer.alloc(Math.min(left, 65_536));
      left -= zeros.length;
      if (!sink.write(zeros)) await drained(sink);
    }
    await new Promise<void>((resolve, reject) => {
      sink.once('error', reject);
      sink.end(() => resolve());
    });
  }
}

/** As tar keeps it. */
function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

function drained(sink: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => sink.once('drain', () => resolve()));
}

/** The last rule that speaks decides, the deepest file last (gitignore(5)). */
function ignored(inside: string, directory: boolean, rules: readonly Rules[]): boolean {
  let verdict = false;
  for (const { base, matcher } of rules) {
    const relative = base === '' ? inside : inside.slice(base.length + 1);
    const result = matcher.test(directory ? `${relative}/` : relative);
    if (result.ignored) verdict = true;
    else if (result.unignored) verdict = false;
  }
  return verdict;
}
