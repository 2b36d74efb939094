import type { Database } from './database';
import type { Disk } from './disk';
import { encodeHeader, type Journal } from './journal';
import { previousFiles, replaceFile, storeFiles } from './recovery';
import { openSnapshot, snapshotSeal } from './snapshot';

/** When the journal is folded into a new snapshot. */
export interface CompactionLimits {
  /** Bytes of journal below which it never is; 1 MiB unless given. */
  readonly minJournalBytes: number;
  /** Size of the journal, as a multiple of the snapshot's, below which it never is; 1 unless given. */
  readonly journalPerSnapshot: number;
}

/**
 * Folds the journal into a new snapshot in three steps, the first and last of them between two appends:
 * export the durable state; write it in place of the old snapshot while appends go on; replace the journal by
 * what was appended meanwhile. Records are numbered and the snapshot knows the last number it holds, so
 * a crash between any two steps finds a snapshot and a journal that continue each other.
 */
export class Compaction {
  private state: 'idle' | 'writing' | 'written' = 'idle';
  private requested = false;
  private offset = 0;
  private sequence = 0;
  private writing: Promise<void> = Promise.resolve();
  /** After a failure the journal must have grown before the next attempt, or a full disk would be tried all the time. */
  private retryAbove = 0;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly database: Database,
    private readonly journal: Journal,
    private snapshotBytes: number,
    private readonly limits: Partial<CompactionLimits> = {},
  ) {}

  /** Makes the next pause the time for it, whatever the sizes. */
  request(): void {
    this.requested = true;
  }

  /** True when it should begin now. The export stops everything for a while, so a busy queue may go on to double the size. */
  isDue(idle: boolean): boolean {
    if (this.state !== 'idle') return false;
    const { minJournalBytes = 1 << 20, journalPerSnapshot = 1 } = this.limits;
    const limit = Math.max(minJournalBytes, journalPerSnapshot * this.snapshotBytes);
    const { length } = this.journal;
    return this.requested || (length > this.retryAbove && length > (idle ? limit : 2 * limit));
  }

  /** True from the request or begin to the end of the last step. */
  get isActive(): boolean {
    return this.requested || this.state !== 'idle';
  }

  /** True when the last step waits for its turn. */
  get isWritten(): boolean {
    return this.state === 'written';
  }

  /** First step, at once; the second goes on behind the promise. The database must hold just the durable state. */
  begin(sequence: number): Promise<void> {
    this.requested = false;
    this.state = 'writing';
    this.sequence = sequence;
    this.offset = this.journal.length;
    const bytes = this.database.export(sequence);
    this.writing = this.writeSnapshot([bytes, snapshotSeal(bytes)]);
    return this.writing;
  }

  /** Third step. */
  async finish(): Promise<void> {
    this.state = 'idle';
    try {
      // Before it is cut: with the snapshot before, it leads to the new one too.
      await this.keep(this.journal.path, previousFiles(this.folder).journal);
      await this.journal.restart(encodeHeader(this.database.store, this.sequence), this.offset);
      this.retryAbove = 0;
    } catch (error) {
      this.postpone();
      throw error;
    }
  }

  /** Resolves when no snapshot is being written; rejects when the last one failed. */
  settled(): Promise<void> {
    return this.writing;
  }

  private async writeSnapshot(parts: readonly Uint8Array[]): Promise<void> {
    try {
      const { snapshot } = storeFiles(this.folder);
      await this.keep(snapshot, previousFiles(this.folder).snapshot, (old) => !!openSnapshot(snapshot, old));
      await replaceFile(this.disk, this.folder, snapshot, parts);
      this.snapshotBytes = parts.reduce((sum, { length }) => sum + length, 0);
      this.state = 'written';
    } catch (error) {
      this.state = 'idle';
      this.postpone();
      throw error;
    }
  }

  /**
   * Keeps a copy of what is about to be replaced, so that there is a whole file at every moment. Where the disk has no room
   * for it the copy before stays, which recovery finds to be too old.
   */
  private async keep(
    file: string,
    copy: string,
    good: (bytes: Buffer) => boolean = () => true,
  ): Promise<void> {
    try {
      const old = await this.disk.read(file);
      if (old && good(old)) await replaceFile(this.disk, this.folder, copy, [old]);
    } catch {
      // Said above.
    }
  }

  private postpone(): void {
    this.retryAbove = 1.5 * this.journal.length;
  }
}
