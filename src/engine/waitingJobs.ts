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
  /** Whether a node may start the job by itself. */
  isStaged(uuid: string): boolean;
  /** Takes a staged job back from its nodes. */
  recall(uuid: string): void;
  /** The scheduler forgets a job that waits, or that was about to be dispatched. */
  drop(uuid: string): void;
  /** What waits, in which order, or what it comes after has changed. */
  requeued(): void;
  now(): number;
}

/** The jobs of one cluster that wait: for their turn, and before that for the jobs they come after. */
export class WaitingJobs {
  private readonly jobs = new Map<string, JobRecord>();
  private readonly dependencies = new Dependencies();
  /** Staged on nodes that cannot be reached. */
  private readonly astray = new Set<string>();
  /** Jobs that nodes did not take, and why: they wait until they are tried again. */
  private readonly paused = new Map<string, string>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly host: WaitingHost,
  ) {}

  /** The jobs that wait. */
  all(): IterableIterator<JobRecord> {
    return this.jobs.values();
  }

  get size(): number {
    return this.jobs.size;
  }

  /** Lets a job wait; one that comes after a job which has failed is ended at once. */
  add(record: JobRecord): void {
    const others = (record.after ?? []).map((uuid) => this.host.find(uuid));
    const unfinished = others.flatMap((other) => (other && !isFinished(other.status) ? [other.uuid] : []));
    this.jobs.set(record.uuid, record);
    const held = this.dependencies.add(record.uuid, unfinished);
    // One that nodes may have started waits for their word.
    const astray = record.staged !== undefined;
    if (astray) this.astray.add(record.uuid);
    this.scheduler.submit({ ...schedulerJob(record), held: held || astray || this.isHeld(record) });
    this.host.requeued();
    const failed = others.find((other) => other && isFinished(other.status) && other.status !== 'SUCCEEDED');
    if (failed) void this.end(record, dependencyWords(failed));
    else if (record.cancelling === true && !astray) void this.end(record, record.message);
  }

  /** A launch came to nothing: the job waits again; the scheduler knows. */
  putBack(record: JobRecord): void {
    this.jobs.set(record.uuid, record);
    this.host.requeued();
  }

  /** A job that waits. */
  get(uuid: string): JobRecord | undefined {
    return this.jobs.get(uuid);
  }

  /** All that wait, in queue order. */
  *inOrder(): Iterable<JobRecord> {
    for (const id of this.scheduler.pendingIds()) {
      const record = this.jobs.get(id);
      if (record) yield record;
    }
  }

  /** What a job still waits for. */
  unfinished(uuid: string): readonly string[] {
    return this.dependencies.of(uuid);
  }

  /** Changes a record that waits; resolves when that is stored. */
  update(uuid: string, patch: JobPatch): Promise<void> {
    const record = this.jobs.get(uuid);
    if (!record) return Promise.resolve();
    this.jobs.set(uuid, { ...record, ...patch });
    return this.host.patch(record, patch);
  }

  /** Nodes have a job, or none has any more; resolves when that is stored. */
  stage(uuid: string, staged: JobRecord['staged']): Promise<void> {
    // What was taken back to be ended is ended next (`recalled`), and that says it too.
    if (staged === undefined && this.jobs.get(uuid)?.cancelling === true) return Promise.resolve();
    return this.update(uuid, { staged });
  }

  /** Whether the nodes where a job is staged can be reached; while they cannot, it must not start elsewhere. */
  setReached(uuid: string, reached: boolean): void {
    const record = this.jobs.get(uuid);
    if (!record || reached !== this.astray.has(uuid)) return;
    if (reached) this.astray.delete(uuid);
    else this.astray.add(uuid);
    this.scheduler.setOrder(uuid, { held: this.isHeld(record) });
  }

  /** Nodes did not take the job, for these reasons: it lets others go first until `resume`. */
  pause(uuid: string, words: string): void {
    this.paused.set(uuid, words);
    this.rehold(uuid);
  }

  resume(uuid: string): void {
    if (!this.paused.delete(uuid)) return;
    this.rehold(uuid);
    this.host.requeued();
  }

  isPaused(uuid: string): boolean {
    return this.paused.has(uuid);
  }

  private rehold(uuid: string): void {
    const record = this.jobs.get(uuid);
    if (record) this.scheduler.setOrder(uuid, { held: this.isHeld(record) });
  }

  private isHeld({ uuid, held }: JobRecord): boolean {
    return (
      held === true || this.astray.has(uuid) || this.paused.has(uuid) || this.dependencies.of(uuid).length > 0
    );
  }

  /** The job is dispatched, or was never accepted. Returns it, when it waited. */
  take(uuid: string): JobRecord | undefined {
    const record = this.jobs.get(uuid);
    this.jobs.delete(uuid);
    this.astray.delete(uuid);
    return record;
  }

  /**
   * Cancels a waiting job, at once or when the nodes that may start it have given it back; resolves when it is stored that it
   * is cancelled, or is to be. Undefined when it does not wait.
   */
  cancel(uuid: string): Promise<void> | undefined {
    const record = this.jobs.get(uuid);
    return record && this.end(record);
  }

  /** Ends a job that a node may have started which is not asked any more. */
  giveUp(uuid: string, words: string): void {
    const record = this.jobs.get(uuid);
    if (record) void this.end(record, words);
  }

  /** No node has the job any more. True when it was to end, and has. */
  recalled(uuid: string): boolean {
    const record = this.jobs.get(uuid);
    if (record?.cancelling !== true) return false;
    void this.end(record, record.message);
    return true;
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
      held: this.isHeld(moved),
    });
    if (change.held === true) this.host.recall(record.uuid);
    this.host.requeued();
    return this.host.patch(waiting, patch);
  }

  /** A job has ended: those that came after it may start, or never will. */
  settled(record: JobRecord): void {
    if (this.dependencies.isAwaited(record.uuid)) this.host.requeued();
    const { freed, doomed } = this.dependencies.settle(record);
    for (const uuid of freed) {
      const waiting = this.jobs.get(uuid);
      if (waiting) this.scheduler.setOrder(uuid, { held: this.isHeld(waiting) });
    }
    for (const uuid of doomed) {
      const waiting = this.jobs.get(uuid);
      if (waiting) void this.end(waiting, dependencyWords(record));
    }
  }

  /** Why a job waits; `nodeWords`: what is wrong with the nodes, when something is. Undefined when it does not wait. */
  reason(uuid: string, nodeWords: string | undefined): PendingReason | undefined {
    if (!this.jobs.has(uuid)) return undefined;
    const reason = this.scheduler.reason(uuid);
    const paused = this.paused.get(uuid);
    if (paused !== undefined) return { ...reason, text: paused };
    const after = this.dependencies.of(uuid);
    if (after.length > 0) {
      const names = after.map((other) => `job ${this.host.find(other)?.id ?? '?'}`).join(', ');
      return { ...reason, text: `starts when ${names} has succeeded` };
    }
    if (reason.kind === 'resources' || reason.kind === 'held' || nodeWords === undefined) return reason;
    return { ...reason, text: nodeWords };
  }

  private end(record: JobRecord, message?: string): Promise<void> {
    if (this.host.isStaged(record.uuid)) {
      const words = message === undefined ? {} : { message };
      const stored =
        record.cancelling === true
          ? Promise.resolve()
          : this.update(record.uuid, { cancelling: true, ...words });
      this.host.recall(record.uuid);
      return stored;
    }
    this.take(record.uuid);
    this.host.drop(record.uuid);
    this.host.requeued();
    const patch: JobPatch = {
      status: 'CANCELLED',
      cancelling: false,
      ...(record.staged === undefined ? {} : { staged: undefined }),
      endedAt: this.host.now(),
      ...(message === undefined ? {} : { message }),
    };
    const stored = this.host.patch(record, patch);
    this.settled({ ...record, ...patch });
    return stored;
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
