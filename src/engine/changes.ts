import type { JobRecord } from '../queue';
import { Emitter } from './emitter';
import type { QueueChange } from './views';

/** What changes in a queue, gathered: listeners are called once for all that happened in one turn. */
export class Changes {
  private readonly emitter = new Emitter<QueueChange>();
  private clusters = new Set<string>();
  private jobs = new Map<string, JobRecord>();
  private archived: JobRecord[] = [];
  private awaited = false;
  private closed = false;

  readonly on = this.emitter.on;

  /** @param neighbours the clusters that have a machine in common with one: they show too whose a device is */
  constructor(private readonly neighbours: (cluster: string) => Iterable<string>) {}

  /** Something of a cluster has changed; with a job, that job. */
  touch(cluster: string, record?: JobRecord): void {
    this.clusters.add(cluster);
    for (const other of this.neighbours(cluster)) this.clusters.add(other);
    if (record) this.jobs.set(record.uuid, record);
    if (this.awaited) return;
    this.awaited = true;
    setImmediate(() => this.tell());
  }

  /** A job went to the archive. */
  archive(record: JobRecord): void {
    this.touch(record.cluster);
    this.archived.push(record);
  }

  /** Nothing is told any more, of what has happened before neither. */
  close(): void {
    this.closed = true;
  }

  private tell(): void {
    const { clusters, jobs, archived } = this;
    this.clusters = new Set();
    this.jobs = new Map();
    this.archived = [];
    this.awaited = false;
    if (this.closed) return;
    this.emitter.fire({ clusters, jobs: [...jobs.values()], ...(archived.length > 0 ? { archived } : {}) });
  }
}
