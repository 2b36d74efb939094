import type { JobRecord } from '../queue';
import { StoreWriteError, type Store, type Urgency } from '../store';
import type { JobPatch } from './jobRun';

// How soon an end is stored again that the disk did not take.
const RETRY_MS = 2_000;

/**
 * How jobs have ended, until the disk has it. Whoever ends a job has let go of it by then, and nobody tells of it again: so an
 * end that the disk does not take is stored again and again until it does.
 */
export class Endings {
  /** By job, the ends that are not on disk; `writing` while they are on their way there. */
  private readonly open = new Map<string, { record: JobRecord; writing?: Promise<void> }>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly store: Pick<Store, 'updateJob' | 'jobByUuid'>,
    /** An end is on disk that was not at first. */
    private readonly stored: (before: JobRecord, record: JobRecord) => void,
  ) {}

  /** Stores the change by which a job has become `record`. Rejects when the disk does not take it, and then tries again. */
  write(record: JobRecord, patch: JobPatch, urgency?: Urgency): Promise<void> {
    const { uuid } = record;
    const writing = this.store.updateJob(uuid, patch, urgency);
    this.open.set(uuid, { record, writing });
    writing.then(
      () => this.open.delete(uuid),
      (error: unknown) => {
        if (error instanceof StoreWriteError && !this.closed) {
          this.open.set(uuid, { record });
          this.timer ??= setTimeout(() => this.retry(), RETRY_MS);
        } else this.open.delete(uuid);
      },
    );
    return writing;
  }

  /** Resolves when the end of a job is on disk, or when it has none. Rejects when the disk does not take it just now. */
  durable(uuid: string): Promise<void> {
    const ending = this.open.get(uuid);
    return ending ? (ending.writing ?? this.again(ending.record)) : Promise.resolve();
  }

  /** Tries a last time what the disk did not take. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await Promise.allSettled([...this.open.keys()].map((uuid) => this.durable(uuid)));
  }

  private retry(): void {
    this.timer = undefined;
    for (const uuid of [...this.open.keys()]) this.durable(uuid).catch(() => undefined);
  }

  private async again(record: JobRecord): Promise<void> {
    const before = this.store.jobByUuid(record.uuid);
    if (!before) {
      this.open.delete(record.uuid);
      return;
    }
    await this.write(record, whole(record));
    this.stored(before, record);
  }
}

/** All that a job's life leaves in its record: what the disk did not take may have gone with changes before it. */
function whole(record: JobRecord): JobPatch {
  const { status, startedAt, endedAt, placement, staged, cancelling, exitCodes, tries, message } = record;
  return { status, startedAt, endedAt, placement, staged, cancelling, exitCodes, tries, message };
}
