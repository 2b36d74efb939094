import { isFinished, type JobRecord, type PendingReason, type Scheduler, type SchedulerJob } from '../queue';
import { Dependencies } from './dependencies';
import { QueueError } from './errors';
import type { JobPatch } from './jobRun';
import { placeFor } from './place';
import type { Reorder } from './views';

/** What waiting jobs need from the cluster around them. */
export interface WaitingHost {
  /** A job of this cluster, whatever became of it. */
  find(uuid: string): JobRecord | undefined;
  /** Stores a change of a job; resolves when durable. */
  patch(record: JobRecord, patch: JobPatch): Promise<void>;
  now(): number;
}

/** The jobs of one cluster that wait: for their turn, and before that for the jobs they come after. */
export class WaitingJobs {
  private readonly jobs = new Map<string, JobRecord>();
  private readonly dependencies = new Dependencies();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly host: WaitingHost,
  ) {}

  get size(): number {
    return this.jobs.size;
  }

  /** Lets a job wait; one that comes after a job which has failed is ended at once. */
  add(record: JobRecord): void {
    const others = (record.after ?? []).map((uuid) => this.host.find(uuid));
    const unfinished = others.flatMap((other) => (other && !isFinished(other.status) ? [other.uuid] : []));
    this.jobs.set(record.uuid, record);
    const held = this.dependencies.add(record.uuid, unfinished);
    this.scheduler.submit({ ...schedulerJob(record), held: held || record.held === true });
    const failed = others.find((other) => other && isFinished(other.status) && other.status !== 'SUCCEEDED');
    if (failed) this.end(record, dependencyWords(failed));
  }

  /** A launch came to nothing: the job waits again; the scheduler knows. */
  putBack(record: JobRecord): void {
    this.jobs.set(record.uuid, record);
  }

  /** The job is dispatched, or was never accepted. Returns it, when it waited. */
  take(uuid: string): JobRecord | undefined {
    const record = this.jobs.get(uuid);
    this.jobs.delete(uuid);
    return record;
  }

  /** Cancels a waiting job; false when it does not wait. */
  cancel(uuid: string): boolean {
    const record = this.jobs.get(uuid);
    if (record) this.end(record);
    return record !== undefined;
  }

  /**
   * Changes a waiting job's place; resolves when that is stored. @throws QueueError `not-waiting` for one that does not
   * wait, `no-job` when it is to go before one that does not
   */
  reorder(record: JobRecord, change: Reorder): Promise<void> {
    const waiting = this.jobs.get(record.uuid);
    if (!waiting)
      throw new QueueError('not-waiting', `job ${record.id} does not wait any more (${record.status})`);
    const patch: JobPatch = {
      ...(change.held === undefined ? {} : { held: change.held }),
      ...(change.priority === undefined ? {} : { priority: change.priority }),
      ...(change.move === undefined ? {} : placeFor(waiting, [...this.jobs.values()], change.move)),
    };
    const moved = { ...waiting, ...patch };
    this.jobs.set(record.uuid, moved);
    this.scheduler.setOrder(record.uuid, {
      priority: moved.priority,
      order: moved.order,
      held: moved.held === true || this.dependencies.of(record.uuid).length > 0,
    });
    return this.host.patch(waiting, patch);
  }

  /** A job has ended: those that came after it may start, or never will. */
  settled(record: JobRecord): void {
    const { freed, doomed } = this.dependencies.settle(record);
    for (const uuid of freed) this.scheduler.setOrder(uuid, { held: this.jobs.get(uuid)?.held === true });
    for (const uuid of doomed) {
      const waiting = this.jobs.get(uuid);
      if (waiting) this.end(waiting, dependencyWords(record));
    }
  }

  /** Why a job waits; `nodeWords`: what is wrong with the nodes, when something is. Undefined when it does not wait. */
  reason(uuid: string, nodeWords: string | undefined): PendingReason | undefined {
    if (!this.jobs.has(uuid)) return undefined;
    const reason = this.scheduler.reason(uuid);
    const after = this.dependencies.of(uuid);
    if (after.length > 0) {
      const names = after.map((other) => `job ${this.host.find(other)?.id ?? '?'}`).join(', ');
      return { ...reason, text: `starts when ${names} has succeeded` };
    }
    if (reason.kind === 'resources' || reason.kind === 'held' || nodeWords === undefined) return reason;
    return { ...reason, text: nodeWords };
  }

  private end(record: JobRecord, message?: string): void {
    this.jobs.delete(record.uuid);
    this.scheduler.remove(record.uuid);
    const patch: JobPatch = {
      status: 'CANCELLED',
      endedAt: this.host.now(),
      ...(message === undefined ? {} : { message }),
    };
    void this.host.patch(record, patch);
    this.settled({ ...record, ...patch });
  }
}

/** A job as the scheduler needs it. */
export function schedulerJob(record: JobRecord): SchedulerJob {
  if (isFinished(record.status)) throw new Error(`job ${record.id} has ended`);
  return {
    id: record.uuid,
    order: record.order,
    priority: record.priority,
    demand: record.demand,
    label: `job ${record.id}`,
  };
}

function dependencyWords(other: JobRecord): string {
  return `it was to start when job ${other.id} (${other.name}) had succeeded, but that one is ${other.status}`;
}
