import { writeSync } from 'node:fs';
import { rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import type { AgentSession } from '../node';
import type { JobRecord } from '../queue';
import { Emitter } from './emitter';
import { Gathered } from './gathered';
import { GrowingFile } from './growingFile';
import { droppedLine, logParts, newest, partFile, piecesOf, writeParts, type LogPart } from './logParts';
import { MergedScan, RankLines, rankPrefix } from './rankMerge';

/** Where a state folder keeps the mirrors of logs, in a folder for each cluster. */
export function logFolderOf(home: string): string {
  return path.join(home, 'logs');
}

// Up to here a write into the page cache is over sooner than a thread of the pool has heard of it; more is gathered while
// one writes, so that the cipher and the disk have a core each.
const WRITTEN_AT_ONCE_BYTES = 8 * 1024;
const GATHERED_BYTES = 1024 * 1024;
// How soon a file is tried again that the disk had no room for, twice as long each time.
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

/** Where a state folder keeps the mirror of a job's log. */
export function logFileOf(home: string, record: JobRecord): string {
  return path.join(logFolderOf(home), record.cluster, logName(record));
}

/** Where the mirror of a job's log is once the job is archived. */
export function archivedLogFileOf(home: string, record: JobRecord): string {
  return path.join(home, 'archive', 'logs', record.cluster, logName(record));
}

function logName({ id, name }: JobRecord): string {
  return `${id}-${name.replace(/[^\w.-]/g, '_')}.log`;
}

/** One rank's log on its node. */
export interface RankSource {
  readonly uuid: string;
  readonly node: string;
}

/** Who can be asked for logs. */
export type LogSource = Pick<AgentSession, 'follow'>;

/** New bytes at the end of the mirror; `at` is their offset in the file. They are lent until the listener returns. */
export interface LogAppend {
  readonly at: number;
  readonly bytes: Buffer;
}

const LF = 10;

/** Bytes of ranks that are to be written in one go, and what of each rank's own log is then in the file. */
interface Batch {
  readonly gathered: Gathered;
  readonly pieces: { readonly rank: Rank; readonly bytes: Buffer; readonly upTo: number }[];
}

interface Rank {
  readonly source: RankSource;
  lines: RankLines | undefined;
  /** Of its own log: what comes next, and how much is in the file. */
  offset: number;
  written: number;
  session: LogSource | undefined;
  following: { stop(): void } | undefined;
  ended: boolean;
}

/**
 * A job's log as a local file that grows with the logs on the nodes: raw for a single rank, by prefixed lines for
 * several. The file is its own record of how far it got, so that a new connection, or a new process, goes on at the
 * exact byte. What a node has dropped is one line in it; what is too much for it is dropped here (see `logParts`).
 */
export class LogMirror {
  private readonly appended = new Emitter<LogAppend>();
  private readonly finished = new Emitter<undefined>();
  private readonly troubled = new Emitter<Error>();
  private ranks: Rank[] = [];
  private parts: readonly LogPart[] = [];
  private handle: GrowingFile | undefined;
  private bytes = 0;
  private opened = false;
  private begun = true;
  private ready: Promise<void> | undefined;
  private writing: Promise<void> = Promise.resolve();
  private writes = 0;
  /** The last write that was asked for, as long as it has not begun. */
  private batch: Batch | undefined;
  /** Bytes that are in memory until they are written. */
  private waiting = 0;
  private over = false;
  private disposed = false;
  /** Set while the disk takes nothing: then nothing is asked for. */
  private retry: NodeJS.Timeout | undefined;
  private pause = FIRST_RETRY_MS;

  /** `limit`: bytes that all parts of the file may take together; 0 for no limit. */
  constructor(
    readonly file: string,
    private readonly limit = 0,
  ) {}

  readonly onAppend = this.appended.on;
  /** All ranks' logs are complete in the file. */
  readonly onEnd = this.finished.on;
  /** The file cannot be written. Said once until it can be; it goes on by itself. */
  readonly onTrouble = this.troubled.on;

  /** Bytes of the log up to its end, as far as it is known. */
  get size(): number {
    return this.bytes;
  }

  /** True when every rank's log is complete in the file. */
  get complete(): boolean {
    return this.over;
  }

  /**
   * Says where the job's ranks are (none while it waits), opens the file, and finds how far it got. Until the job has begun
   * no node's word is taken for the end of its log: one that gave the job back knows of none.
   */
  assign(sources: readonly RankSource[], begun = true): Promise<void> {
    this.stopFollowing();
    this.begun = begun;
    this.ranks = sources.map((source) => ({
      source,
      lines: undefined,
      offset: 0,
      written: 0,
      session: undefined,
      following: undefined,
      ended: false,
    }));
    return this.reopen();
  }

  /** The job has begun where its ranks are. */
  begin(): void {
    this.begun = true;
  }

  /** A node can be talked to: follows the ranks on it from where the file stands. */
  async attach(node: string, session: LogSource): Promise<void> {
    // The ranks may be assigned again meanwhile, and how far the file got is looked up anew.
    for (let ready: Promise<void> | undefined; ready !== this.ready; await ready) ready = this.ready;
    for (const rank of this.ranks) {
      if (rank.source.node !== node || (rank.session === session && rank.following)) continue;
      rank.session = session;
      this.follow(rank);
    }
  }

  /** A node is gone: what it had begun to send of a line comes again. */
  detach(node: string): void {
    for (const rank of this.ranks) {
      if (rank.source.node === node) rank.session = rank.following = undefined;
    }
  }

  /** Nothing more will come: the job never ran, or was lost with its node. */
  abandon(): void {
    for (const rank of this.ranks) rank.ended = true;
    void this.writing.then(() => this.checkEnd());
  }

  /** Stops following and closes the file. */
  async dispose(): Promise<void> {
    this.disposed = true;
    clearTimeout(this.retry);
    this.stopFollowing();
    await this.ready;
    await this.writing;
    await this.handle?.close();
    this.handle = undefined;
  }

  private follow(rank: Rank): void {
    const { session } = rank;
    if (rank.ended || !session || this.retry || this.disposed) return;
    rank.following = session.follow(rank.source.uuid, rank.offset, {
      data: (offset, bytes) => {
        if (offset < rank.offset) return;
        if (offset > rank.offset) void this.skip(rank, offset);
        rank.offset += bytes.length;
        const written = this.append(rank, rank.lines ? rank.lines.push(bytes) : bytes);
        // Waited for only where it would be too much for the memory.
        return this.waiting > GATHERED_BYTES ? written : undefined;
      },
      end: (size) => {
        if (!this.begun) {
          rank.following = undefined;
          return;
        }
        if (size > rank.offset) void this.skip(rank, size);
        rank.ended = true;
        void this.append(rank, rank.lines ? rank.lines.end() : Buffer.alloc(0)).then(() => this.checkEnd());
      },
    });
  }

  private stopFollowing(): void {
    for (const rank of this.ranks) {
      rank.following?.stop();
      rank.following = undefined;
    }
  }

  private reopen(): Promise<void> {
    const before = this.ready ?? Promise.resolve();
    this.ready = before
      .then(() => this.writing)
      .then(() => this.openFile())
      .catch((error: unknown) => this.fail(error));
    return this.ready;
  }

  private async openFile(): Promise<void> {
    this.parts = logParts(this.file);
    const part = newest(this.parts);
    const name = partFile(this.file, part.at);
    // Most logs were never here before.
    this.handle ??= GrowingFile.create(name) ?? (await GrowingFile.open(name));
    // Cut by its name below: what was opened to be appended to is cut by no handle on Windows.
    const text = Buffer.from(part.text);
    let { size } = this.handle;
    if (size < text.length) {
      await truncate(name, 0);
      await this.handle.append(text);
      size = text.length;
    }
    if (this.ranks.length > 1) {
      const prefixes = this.ranks.map(({ source }, rank) => rankPrefix(rank, source.node));
      const scan = new MergedScan(prefixes);
      if (size > text.length)
        for await (const { bytes } of piecesOf(this.file, part.at + text.length)) scan.push(bytes);
      const complete = text.length + scan.complete;
      if (complete < size) await truncate(name, complete);
      size = complete;
      this.ranks.forEach((rank, index) => {
        rank.lines = new RankLines(prefixes[index] ?? '');
        rank.offset = rank.written = (part.offsets[index] ?? 0) + (scan.offsets[index] ?? 0);
      });
    } else {
      for (const rank of this.ranks) rank.offset = rank.written = (part.offsets[0] ?? 0) + size - text.length;
    }
    // What a write that failed has left in the file is there.
    if (this.opened) for await (const { bytes } of piecesOf(this.file, this.bytes)) this.tell(bytes);
    this.opened = true;
    this.bytes = part.at + size;
  }

  /** The rank's node has dropped what comes before `offset`: a line says so, once. */
  private skip(rank: Rank, offset: number): Promise<void> {
    // Of a line that had begun, the beginning is all there is. It counts as a byte more, which is among those that are gone.
    if (rank.lines) void this.append(rank, rank.lines.end());
    const line = droppedLine(offset - rank.offset);
    rank.offset = offset;
    return this.queue(async () => {
      const offsets = this.ranks.map((other) => (other === rank ? offset : other.written));
      await this.goOn(offsets, rank.lines ? rank.lines.prefixed(line) : `${this.lineBreak()}${line}`);
      rank.written = offset;
    });
  }

  private lineBreak(): string {
    const size = this.bytes - newest(this.parts).at;
    const last = size > 0 ? this.handle?.byteAt(size - 1) : LF;
    return last === undefined || last === LF ? '' : '\n';
  }

  /** Adds what came of a rank's log; `written` of the rank follows when it is in the file. */
  private append(rank: Rank, bytes: Buffer): Promise<void> {
    const upTo = rank.offset - (rank.lines?.held ?? 0);
    if (bytes.length === 0) return this.writing;
    if (this.handle && this.writes === 0 && !this.isFull() && bytes.length <= WRITTEN_AT_ONCE_BYTES) {
      try {
        for (let at = 0; at < bytes.length;) at += writeSync(this.handle.fd, bytes, at);
      } catch (error) {
        this.fail(error);
        return this.writing;
      }
      this.grew(bytes, rank, upTo);
      return this.writing;
    }
    this.waiting += bytes.length;
    const most = this.limit > 0 ? Math.min(GATHERED_BYTES, this.limit / 64) : GATHERED_BYTES;
    if (this.batch && this.batch.gathered.size < most) {
      this.batch.pieces.push({ rank, bytes: this.batch.gathered.add(bytes), upTo });
      return this.writing;
    }
    const gathered = new Gathered();
    const batch: Batch = { gathered, pieces: [{ rank, bytes: gathered.add(bytes), upTo }] };
    const written = this.queue(
      () => this.write(batch),
      () => {
        this.waiting -= gathered.size;
        if (this.batch === batch) this.batch = undefined;
        gathered.release();
      },
    );
    this.batch = batch;
    return written;
  }

  private async write(batch: Batch): Promise<void> {
    if (this.batch === batch) this.batch = undefined;
    if (this.isFull())
      await this.goOn(
        this.ranks.map(({ written }) => written),
        '',
      );
    const { buffers, size } = batch.gathered;
    const written = (await this.handle?.writev(buffers)) ?? 0;
    // A disk that is full takes a part, and says why with the rest.
    if (written < size) await this.handle?.append(Buffer.concat(buffers).subarray(written));
    for (const { rank, bytes, upTo } of batch.pieces) this.grew(bytes, rank, upTo);
  }

  /** Does one thing to the file after the other, and none after one has failed. */
  private queue(write: () => Promise<void>, over: () => void = () => undefined): Promise<void> {
    this.writes += 1;
    // What comes after this is written after it.
    this.batch = undefined;
    this.writing = this.writing.then(async () => {
      try {
        if (this.handle && !this.retry) await write();
      } catch (error) {
        this.fail(error);
      }
      this.writes -= 1;
      over();
    });
    return this.writing;
  }

  private grew(bytes: Buffer, rank: Rank, upTo: number): void {
    rank.written = upTo;
    this.pause = FIRST_RETRY_MS;
    this.tell(bytes);
  }

  private tell(bytes: Buffer): void {
    const at = this.bytes;
    this.bytes += bytes.length;
    try {
      this.appended.fire({ at, bytes });
    } catch (error) {
      // Whoever listens has failed, not the disk.
      this.troubled.fire(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** The first part may have half of what there is room for; all others a sixteenth, with what comes in one piece. */
  private isFull(): boolean {
    const { at } = newest(this.parts);
    return this.limit > 0 && this.bytes - at >= (at === 0 ? this.limit / 2 : this.limit / 32);
  }

  /** Of these parts those for which there is room beside a new one: the first, and as many of the last as may be. */
  private async fitting(parts: readonly LogPart[]): Promise<readonly LogPart[]> {
    if (this.limit === 0) return parts;
    const sizes = await Promise.all(parts.map(async ({ at }) => (await stat(partFile(this.file, at))).size));
    let room = this.limit - this.limit / 16 - (sizes[0] ?? 0);
    let from = parts.length;
    while (from > 1 && (room -= sizes[from - 1] ?? 0) >= 0) from--;
    return [...parts.slice(0, 1), ...parts.slice(Math.max(1, from))];
  }

  /** Goes on in a new part that begins with `text`; drops the oldest but for the first, where there would be too many. */
  private async goOn(offsets: readonly number[], text: string): Promise<void> {
    const part = { at: this.bytes, offsets, text };
    const old = this.parts.filter(({ at }) => at < part.at);
    const kept = await this.fitting(old);
    // One that a killed process has left is not in the list.
    if (part.at > 0) await rm(partFile(this.file, part.at), { force: true });
    await writeParts(this.file, [...kept, part]);
    this.parts = [...kept, part];
    await this.handle?.close();
    this.handle = undefined;
    this.handle = await GrowingFile.open(partFile(this.file, part.at));
    if (text !== '') {
      const bytes = Buffer.from(text);
      await this.handle.append(bytes);
      this.tell(bytes);
    }
    for (const { at } of old) {
      if (!kept.some((other) => other.at === at)) await rm(partFile(this.file, at), { force: true });
    }
  }

  /** Asks for nothing more until the disk takes it, and then goes on from what is in the file. */
  private fail(error: unknown): void {
    if (this.retry || this.disposed) return;
    this.stopFollowing();
    for (const rank of this.ranks) rank.ended = false;
    if (this.pause === FIRST_RETRY_MS) {
      const words = error instanceof Error ? error.message : String(error);
      this.troubled.fire(
        new Error(
          `cannot write the log ${this.file}: ${words}. It goes on, with no line missing, when it can be written`,
        ),
      );
    }
    this.retry = setTimeout(() => void this.tryAgain(), this.pause);
    this.pause = Math.min(this.pause * 2, LAST_RETRY_MS);
  }

  private async tryAgain(): Promise<void> {
    await this.writing;
    await this.handle?.close();
    this.handle = this.retry = undefined;
    await this.reopen();
    for (const rank of this.ranks) if (!rank.following) this.follow(rank);
  }

  private checkEnd(): void {
    if (this.over || this.retry || !this.ranks.every((rank) => rank.ended)) return;
    this.over = true;
    this.finished.fire(undefined);
  }
}
