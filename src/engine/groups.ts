import { isFinished, type JobRecord, type JobStatus } from '../queue';
import type { GroupView } from './views';

type Counts = Omit<{ -readonly [key in keyof GroupView]: GroupView[key] }, 'id'>;

const COUNTED_AS: Readonly<Record<JobStatus, keyof Counts>> = {
  PENDING: 'pending',
  SETTING_UP: 'running',
  RUNNING: 'running',
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  FAILED_SETUP: 'failed',
  LOST: 'failed',
  CANCELLED: 'cancelled',
};

/**
 * Groups of a larger size are counted also when all of their jobs have ended: a view does not have all of these jobs, so
 * it cannot count them itself.
 */
export const LARGE_GROUP = 2000;

/** What the jobs of one cluster's groups do. A group is counted once in the store, and by its jobs' changes from then on. */
export class Groups {
  private readonly counts = new Map<number, Counts>();
  private readonly large = new Set<number>();

  constructor(
    /** Numbers of a group's stored jobs, by status. */
    private readonly count: (first: number, size: number) => ReadonlyMap<JobStatus, number>,
  ) {}

  /** The groups of which a job lives, and large ones that were asked for. */
  views(): GroupView[] {
    return [...this.counts].map(([id, counts]) => ({ id, ...counts }));
  }

  /** Counts the group of a job that lives, or is shown; false when that is done already, or need not be. */
  meet({ group, status }: JobRecord): boolean {
    if (!group || this.counts.has(group.id)) return false;
    const large = group.size > LARGE_GROUP;
    if (!large && isFinished(status)) return false;
    if (large) this.large.add(group.id);
    this.recount(group);
    return true;
  }

  /** A stored job has another status than it had; `before` is undefined for a new one, `now` for one that was removed. */
  moved({ group }: JobRecord, before: JobStatus | undefined, now: JobStatus | undefined): void {
    const counts = group && this.counts.get(group.id);
    if (!counts) return;
    if (before) counts[COUNTED_AS[before]]--;
    if (now) counts[COUNTED_AS[now]]++;
    if (counts.pending + counts.running === 0 && !this.large.has(group.id)) this.counts.delete(group.id);
  }

  /** Counts a group afresh, after a change of it was taken back. */
  recount({ id, size }: NonNullable<JobRecord['group']>): void {
    const counts: Counts = { pending: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };
    for (const [status, jobs] of this.count(id, size)) counts[COUNTED_AS[status]] += jobs;
    const jobs = Object.values(counts).reduce((sum, number) => sum + number, 0);
    const wanted = counts.pending + counts.running > 0 || this.large.has(id);
    if (jobs > 0 && wanted) this.counts.set(id, counts);
    else this.counts.delete(id);
  }
}
