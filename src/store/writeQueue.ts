import type { Change } from './changes';
import type { Compaction } from './compaction';
import type { Database, Undo } from './database';
import { StoreClosedError, StoreWriteError } from './errors';
import { encodeRecord, type Journal } from './journal';

/**
 * When a change goes to the disk: at once, or some ms later with others. The latter is for what a node has told and, until it
 * hears that this is stored, would tell again: a crash costs no more than to ask it.
 */
export type Urgency = 'now' | 'soon';

interface Pending {
  readonly change: Change;
  readonly urgency: Urgency;
  undo: Undo;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

// So long after several changes that came together more of them are expected, in ms.
const CROWD_MS = 20;

// So long a change that is to be stored soon waits for others, in ms. To flush them one by one costs the most of all that a
// short job costs here.
const SOON_MS = 50;

/** Makes changes in memory at once and on the disk in groups: all that arrive during one fsync share the next. */
export class WriteQueue {
  private pending: Pending[] = [];
  private draining: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  /** When several changes were last written together, on the clock of `performance`. */
  private crowdedAt = -Infinity;

  constructor(
    private readonly database: Database,
    private readonly journal: Journal,
    /** Number of the last durable change. */
    private sequence: number,
    private readonly compaction: Compaction,
    private readonly onCompactionError: (error: unknown) => void = () => undefined,
  ) {}

  /** Resolves when the change, and so all before it, is durable; see `Store` for what a failure means. */
  async write(change: Change, urgency: Urgency): Promise<void> {
    if (this.closed) throw new StoreClosedError();
    const undo = this.database.apply(change);
    await new Promise<void>((resolve, reject) => {
      this.pending.push({ change, urgency, undo, resolve, reject });
      if (urgency === 'now') this.drain();
      else this.wait();
    });
  }

  async compact(): Promise<void> {
    this.compaction.request();
    while (this.compaction.isActive) {
      this.drain();
      await this.draining;
      await this.compaction.settled();
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.draining;
    if (this.pending.length > 0) this.drain();
    await this.draining;
    // Its failure was told to onCompactionError; the journal has everything.
    await this.compaction.settled().catch(() => undefined);
    await this.draining;
    await this.journal.close();
  }

  private wait(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.drain();
    }, SOON_MS);
  }

  private drain(): void {
    this.draining ??= this.drainAll();
  }

  private async drainAll(): Promise<void> {
    // Let the tick end first, so that what is submitted in one go shares one fsync; and the turn, when several came together
    // just before: what is heard of nodes comes in several ticks. A change that comes alone does not wait for others.
    const crowded = performance.now() - this.crowdedAt < CROWD_MS;
    await (crowded ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve());
    try {
      do {
        clearTimeout(this.timer);
        this.timer = undefined;
        if (this.pending.length > 0) await this.writeBatch();
        // Between two batches the journal and the durable state agree, which is what a snapshot needs.
        if (this.compaction.isDue(this.pending.length === 0)) this.beginCompaction();
        if (this.compaction.isWritten) await this.finishCompaction();
      } while (this.isDue());
    } finally {
      // In the same tick as the last look at `pending`: a change in between would wait for ever.
      this.draining = undefined;
    }
  }

  /** Whether what is pending has waited long enough: its time may have come during a flush, when nobody begins another. */
  private isDue(): boolean {
    const late = this.pending.length > 0 && this.timer === undefined;
    return late || this.pending.some(({ urgency }) => urgency === 'now');
  }

  private async writeBatch(): Promise<void> {
    const batch = this.pending;
    this.pending = [];
    try {
      await this.journal.append(
        batch.map(({ change }, index) => encodeRecord(this.sequence + 1 + index, change)),
      );
    } catch (cause) {
      // Later changes were made on top of the failed ones, so all that is not durable goes.
      const lost = [...batch, ...this.pending];
      this.pending = [];
      for (const { undo } of [...lost].reverse()) undo();
      for (const { reject } of lost) reject(new StoreWriteError(this.journal.path, cause));
      return;
    }
    this.sequence += batch.length;
    if (batch.length > 1) this.crowdedAt = performance.now();
    for (const { resolve } of batch) resolve();
  }

  private beginCompaction(): void {
    // A snapshot must not hold what may still fail and be taken back.
    for (const { undo } of [...this.pending].reverse()) undo();
    const written = this.compaction.begin(this.sequence);
    for (const entry of this.pending) entry.undo = this.database.apply(entry.change);
    written.then(
      () => this.drain(),
      (error: unknown) => this.onCompactionError(error),
    );
  }

  private async finishCompaction(): Promise<void> {
    try {
      await this.compaction.finish();
    } catch (error) {
      this.onCompactionError(error);
    }
  }
}
