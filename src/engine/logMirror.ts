import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { AgentSession } from '../node';
import type { JobRecord } from '../queue';
import { Emitter } from './emitter';
import { mergedOffsets, RankLines, rankPrefix } from './rankMerge';

/** Where a state folder keeps the mirror of a job's log. */
export function logFileOf(home: string, record: JobRecord): string {
  return path.join(home, 'logs', record.cluster, `${record.id}-${record.name.replace(/[^\w.-]/g, '_')}.log`);
}

/** One rank's log on its node. */
export interface RankSource {
  readonly uuid: string;
  readonly node: string;
}

/** New bytes at the end of the mirror; `at` is their offset in the file. */
export interface LogAppend {
  readonly at: number;
  readonly bytes: Buffer;
}

interface Rank {
  readonly source: RankSource;
  readonly lines: RankLines | undefined;
  offset: number;
  following: { stop(): void; session: AgentSession } | undefined;
  ended: boolean;
}

/**
 * A job's log as a local file that grows with the logs on the nodes: raw for a single rank, by prefixed lines for
 * several. The file is its own record of how far it got, so that a new connection, or a new process, goes on at the
 * exact byte.
 */
export class LogMirror {
  private readonly appended = new Emitter<LogAppend>();
  private readonly finished = new Emitter<undefined>();
  private ranks: Rank[] = [];
  private handle: FileHandle | undefined;
  private size = 0;
  private ready: Promise<void> | undefined;
  private writing: Promise<void> = Promise.resolve();
  private over = false;

  constructor(readonly file: string) {}

  readonly onAppend = this.appended.on;
  /** All ranks' logs are complete in the file. */
  readonly onEnd = this.finished.on;

  /** True when every rank's log is complete in the file. */
  get complete(): boolean {
    return this.over;
  }

  /**
   * Says where the job's ranks are (none while it waits), opens the file, and finds how far it got.
   * @throws when the disk says no
   */
  assign(sources: readonly RankSource[]): Promise<void> {
    for (const rank of this.ranks) rank.following?.stop();
    const several = sources.length > 1;
    this.ranks = sources.map((source, rank) => ({
      source,
      lines: several ? new RankLines(rankPrefix(rank, source.node)) : undefined,
      offset: 0,
      following: undefined,
      ended: false,
    }));
    const before = this.ready ?? Promise.resolve();
    this.ready = before
      .catch(() => undefined)
      .then(() => this.writing)
      .then(() => this.openFile());
    return this.ready;
  }

  /** A node can be talked to: follows the ranks on it from where the file stands. */
  async attach(node: string, session: AgentSession): Promise<void> {
    // The ranks may be assigned again meanwhile, and how far the file got is looked up anew.
    for (let ready: Promise<void> | undefined; ready !== this.ready; await ready) ready = this.ready;
    for (const rank of this.ranks) {
      if (rank.source.node !== node || rank.ended || rank.following?.session === session) continue;
      const follow = session.follow(rank.source.uuid, rank.offset, {
        data: (offset, bytes) => {
          if (offset !== rank.offset) return;
          rank.offset += bytes.length;
          return this.append(rank.lines ? rank.lines.push(bytes) : bytes);
        },
        end: () => {
          rank.ended = true;
          void this.append(rank.lines ? rank.lines.end() : Buffer.alloc(0)).then(() => this.checkEnd());
        },
      });
      rank.following = { stop: () => follow.stop(), session };
    }
  }

  /** A node is gone: what it had begun to send of a line comes again. */
  detach(node: string): void {
    for (const rank of this.ranks) {
      if (rank.source.node === node) rank.following = undefined;
    }
  }

  /** Nothing more will come: the job never ran, or was lost with its node. */
  abandon(): void {
    for (const rank of this.ranks) rank.ended = true;
    void this.writing.then(() => this.checkEnd());
  }

  /** Stops following and closes the file. */
  async dispose(): Promise<void> {
    for (const rank of this.ranks) rank.following?.stop();
    await this.ready?.catch(() => undefined);
    await this.writing;
    await this.handle?.close();
    this.handle = undefined;
  }

  private async openFile(): Promise<void> {
    await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 });
    this.handle ??= await open(this.file, 'a+', 0o600);
    this.size = (await this.handle.stat()).size;
    if (this.ranks.length <= 1) {
      for (const rank of this.ranks) rank.offset = this.size;
      return;
    }
    const { offsets, complete } = mergedOffsets(
      await readFile(this.file),
      this.ranks.map(({ source }, rank) => rankPrefix(rank, source.node)),
    );
    if (complete < this.size) await this.handle.truncate(complete);
    this.size = complete;
    this.ranks.forEach((rank, index) => (rank.offset = offsets[index] ?? 0));
  }

  private append(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return this.writing;
    // The reader reuses nothing, but the caller waits for the write, which bounds what is in memory.
    this.writing = this.writing.then(async () => {
      if (!this.handle) return;
      await this.handle.appendFile(bytes);
      const at = this.size;
      this.size += bytes.length;
      this.appended.fire({ at, bytes });
    });
    return this.writing;
  }

  private checkEnd(): void {
    if (this.over || !this.ranks.every((rank) => rank.ended)) return;
    this.over = true;
    this.finished.fire(undefined);
  }
}
