import type { Queue } from '../control';
import type { ClusterView, JobView } from '../engine';
import { LARGE_GROUP } from '../engine/groups';
import { isOnNodes } from '../queue';

const PAGE = 200;

/** The jobs of a cluster that have rows. */
export interface Shown {
  /** In the order of their rows. */
  readonly jobs: readonly JobView[];
  readonly byId: ReadonlyMap<number, JobView>;
  /** Those of them that were submitted together, by their group. */
  readonly groups: ReadonlyMap<number, readonly JobView[]>;
  /** There are older ones. */
  readonly more: boolean;
}

/**
 * Which jobs have rows. What was found is kept for the turn: VS Code asks for each row in the turn in which it was told which
 * there are, and to find a job and why it waits takes longer than to make its row.
 */
export class ShownJobs {
  private readonly limits = new Map<string, number>();
  private readonly views = new Map<string, ClusterView | undefined>();
  private readonly shown = new Map<string, Shown>();
  private forgetting = false;

  /**
   * Twice as many of a cluster's jobs are shown from now on. Each time all rows are drawn again, of which VS Code keeps
   * something for as long as its window lives: page by page, the draws would grow by the square of the jobs.
   */
  showOlder(cluster: string): void {
    this.limits.set(cluster, 2 * (this.limits.get(cluster) ?? PAGE));
    this.forget();
  }

  /** A cluster with its jobs, looked at anew; nothing when it is gone. */
  look(queue: Queue, cluster: string): (Shown & { readonly view: ClusterView }) | undefined {
    this.forget();
    if (!queue.view(cluster)) return undefined;
    const shown = this.jobs(queue, cluster);
    // After the jobs: a large group that has ended is counted when one of its jobs is shown.
    const view = this.view(queue, cluster);
    return view && { ...shown, view };
  }

  /** A cluster as this turn has seen it. */
  view(queue: Queue, cluster: string): ClusterView | undefined {
    if (!this.views.has(cluster)) this.views.set(cluster, queue.view(cluster));
    this.forgetSoon();
    return this.views.get(cluster);
  }

  /** A job as this turn has seen it. @throws QueueError `no-job` */
  job(queue: Queue, cluster: string, id: number): JobView {
    return this.shown.get(cluster)?.byId.get(id) ?? queue.job(cluster, id);
  }

  /** The jobs of a group that have rows. */
  members(queue: Queue, cluster: string, group: number): readonly JobView[] {
    return this.jobs(queue, cluster).groups.get(group) ?? [];
  }

  /**
   * The newest jobs, as many as are to be shown, and all that are on nodes; a group of which one of the newest is a member
   * is there whole, unless it is large.
   */
  private jobs(queue: Queue, cluster: string): Shown {
    const before = this.shown.get(cluster);
    if (before) return before;
    let limit = this.limits.get(cluster) ?? PAGE;
    let jobs = queue.jobs(cluster, limit + 1);
    const last = jobs[limit - 1]?.record;
    const missing = last?.group && last.group.size <= LARGE_GROUP ? last.id - last.group.id : 0;
    if (missing > 0) {
      limit += missing;
      jobs = queue.jobs(cluster, limit + 1);
    }
    const rows = byPlace(jobs.filter(({ record }, index) => index < limit || isOnNodes(record.status)));
    const shown = {
      jobs: rows,
      groups: byGroup(rows),
      byId: new Map(jobs.map((job) => [job.record.id, job])),
      more: jobs.length > limit,
    };
    this.shown.set(cluster, shown);
    this.forgetSoon();
    return shown;
  }

  private forgetSoon(): void {
    if (this.forgetting) return;
    this.forgetting = true;
    setImmediate(() => {
      this.forgetting = false;
      this.forget();
    });
  }

  private forget(): void {
    this.views.clear();
    this.shown.clear();
  }
}

function byGroup(jobs: readonly JobView[]): Map<number, JobView[]> {
  const groups = new Map<number, JobView[]>();
  for (const job of jobs) {
    const { group } = job.record;
    if (!group) continue;
    const members = groups.get(group.id);
    if (members) members.push(job);
    else groups.set(group.id, [job]);
  }
  return groups;
}

/** Jobs, newest first, with those that wait by their places in the queue: the lowest of them is the next to start. */
function byPlace(jobs: readonly JobView[]): JobView[] {
  const isWaiting = ({ record }: JobView): boolean => record.status === 'PENDING';
  const waiting = jobs
    .filter(isWaiting)
    .sort(({ record: a }, { record: b }) => a.priority - b.priority || b.order - a.order);
  let next = 0;
  return jobs.map((job) => (isWaiting(job) ? (waiting[next++] ?? job) : job));
}
