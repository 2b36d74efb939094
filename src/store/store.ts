import { join } from 'node:path';
import type { JobStatus } from '../queue/job';
import type { JobRecord } from '../queue/jobRecord';
import { archivedJobs, archiveJobs, type ArchiveContext, type Archived } from './archive';
import { toJournalPatch, type Change, type JobPatch, type StoredCluster } from './changes';
import { Compaction, type CompactionLimits } from './compaction';
import type { Database } from './database';
import { nodeDisk, type Disk } from './disk';
import { recover, type RepairReport } from './recovery';
import { MIGRATIONS, type Migration } from './schema';
import { loadSqlEngine, type SqlEngine } from './sqlEngine';
import { WriteQueue, type Urgency } from './writeQueue';

export interface StoreOptions {
  /** ms since 1970; the system's clock unless given. */
  readonly now?: () => number;
  /** Path of `sql-wasm.wasm`; beside the bundle or in the sql.js package unless given. */
  readonly wasmPath?: string;
  /** sql.js compiled before, instead of `wasmPath`. */
  readonly engine?: SqlEngine;
  readonly disk?: Disk;
  readonly compaction?: Partial<CompactionLimits>;
  /** The steps of the schema; others than this version's only in tests. */
  readonly migrations?: readonly Migration[];
  /** Told when a compaction failed; the store goes on with its journal and tries again later. */
  readonly onCompactionError?: (error: unknown) => void;
}

/** Which finished jobs go to the archive: those that fit either limit. */
export interface ArchiveLimits {
  /** Ended longer ago than this many ms. */
  readonly olderThanMs?: number;
  /** All but this many of each cluster's newest finished ones. */
  readonly keepCount?: number;
  /** Uuids of jobs that stay, whatever their age. */
  readonly except?: ReadonlySet<string>;
  /** At most so many in one call; 2,000 unless given. */
  readonly atMost?: number;
}

/** Where the numbers of archived jobs are kept, as JSON by cluster. */
const ARCHIVED_COUNTS = 'archived';

/**
 * All that the queue must not forget. Reads come from memory and see every change at once; the promise of a change
 * resolves when it is on the disk. A change that could not be written rejects with StoreWriteError and is taken back
 * in memory, together with all changes after it that were not on the disk yet (they reject too). One process at a
 * time may have a folder open: see `acquire`.
 */
export class Store {
  /** Ids handed out whose jobs are not stored yet. */
  private readonly reserved = new Map<string, number>();

  private constructor(
    private readonly folder: string,
    private readonly options: StoreOptions,
    private readonly engine: SqlEngine,
    private readonly database: Database,
    private readonly queue: WriteQueue,
  ) {}

  /** Names this store and no other, as long as its folder is there. */
  get id(): string {
    return this.database.store;
  }

  /**
   * Opens the store in the folder or makes a new one. `repair` says what a crash or damage had done.
   * Throws StoreVersionError, StoreCorruptError, StoreReadError; the folder is then as it was.
   */
  static async open(
    folder: string,
    options: StoreOptions = {},
  ): Promise<{ store: Store; repair?: RepairReport }> {
    const engine = options.engine ?? (await loadSqlEngine(options.wasmPath));
    const disk = options.disk ?? nodeDisk;
    const { database, journal, sequence, snapshotBytes, repair } = await recover({
      folder,
      disk,
      engine,
      migrations: options.migrations ?? MIGRATIONS,
      now: options.now ?? Date.now,
    });
    const compaction = new Compaction(disk, folder, database, journal, snapshotBytes, options.compaction);
    const queue = new WriteQueue(database, journal, sequence, compaction, options.onCompactionError);
    const store = new Store(folder, options, engine, database, queue);
    return { store, ...(repair ? { repair } : {}) };
  }

  /** By name. */
  clusters(): StoredCluster[] {
    return this.database.clusters();
  }

  /** Adds or replaces a cluster. `createdAt` and `nextJobId` stay as they are unless given; the id never goes down. */
  putCluster(cluster: Pick<StoredCluster, 'name' | 'definition'> & Partial<StoredCluster>): Promise<void> {
    const before = this.clusters().find(({ name }) => name === cluster.name);
    const params: StoredCluster = {
      name: cluster.name,
      definition: cluster.definition,
      createdAt: cluster.createdAt ?? before?.createdAt ?? this.now(),
      nextJobId: Math.max(cluster.nextJobId ?? 1, this.database.nextJobId(cluster.name)),
    };
    return this.write({ op: 'putCluster', params });
  }

  /** Forgets a cluster. Its jobs stay, and its ids are not given again. Rejects with StoreConflictError when unknown. */
  removeCluster(name: string): Promise<void> {
    return this.write({ op: 'removeCluster', params: { name } });
  }

  /** An id for a job that is about to be added; never given twice. It becomes durable with the job. */
  nextJobId(cluster: string): number {
    const id = Math.max(this.database.nextJobId(cluster), this.reserved.get(cluster) ?? 1);
    this.reserved.set(cluster, id + 1);
    return id;
  }

  /** Rejects with StoreConflictError when the uuid, or the id on the cluster, is taken. */
  addJob(job: JobRecord): Promise<void> {
    return this.addJobs([job]);
  }

  /** Adds all of the jobs or none. */
  addJobs(jobs: readonly JobRecord[]): Promise<void> {
    return this.write({ op: 'addJobs', params: { jobs } });
  }

  /** Changes fields of a job. Rejects with StoreConflictError when there is no such job. */
  updateJob(uuid: string, patch: JobPatch, urgency?: Urgency): Promise<void> {
    return this.write({ op: 'updateJob', params: { uuid, patch: toJournalPatch(patch) } }, urgency);
  }

  /** Jobs that are not finished, by cluster and id. */
  liveJobs(): JobRecord[] {
    return this.database.liveJobs();
  }

  /** The newest jobs of a cluster, finished or not, newest first; below the id when given. */
  recentJobs(cluster: string, limit: number, beforeId = Number.MAX_SAFE_INTEGER): JobRecord[] {
    return this.database.recentJobs(cluster, limit, beforeId);
  }

  /** How many of `size` jobs from the number `first` on have which status. */
  statuses(cluster: string, first: number, size: number): ReadonlyMap<JobStatus, number> {
    return this.database.statuses(cluster, first, size);
  }

  job(cluster: string, id: number): JobRecord | undefined {
    return this.database.job(cluster, id);
  }

  jobByUuid(uuid: string): JobRecord | undefined {
    return this.database.jobByUuid(uuid);
  }

  /** Those of the jobs that are stored, in the order asked for. */
  jobsByUuid(uuids: readonly string[]): JobRecord[] {
    return uuids.flatMap((uuid) => this.jobByUuid(uuid) ?? []);
  }

  /** Finished jobs that were on nodes, ended after the time (ms since 1970), and have no complete log here. */
  logless(time: number): JobRecord[] {
    return this.database.logless(time);
  }

  setting(key: string): string | undefined {
    return this.database.setting(key);
  }

  /** Undefined removes the setting. */
  setSetting(key: string, value: string | undefined): Promise<void> {
    return this.write({ op: 'setSetting', params: { key, value: value ?? null } });
  }

  /**
   * Moves finished jobs to the archive's SQLite file of this month (`archive/2026-11.db`, UTC) and resolves to them. A crash
   * in between leaves a job in both, and the next call finishes the move. To be called now and then, not per job: each
   * call writes a file of the archive anew. Secrets are not archived. Rejects with StoreWriteError.
   */
  async archive(limits: ArchiveLimits): Promise<JobRecord[]> {
    const { olderThanMs, keepCount = Number.MAX_SAFE_INTEGER, except = new Set(), atMost = 2_000 } = limits;
    const endedBefore = olderThanMs === undefined ? 0 : this.now() - olderThanMs;
    const jobs = this.database
      .finishedJobs(endedBefore, keepCount, atMost + except.size)
      .filter(({ uuid }) => !except.has(uuid))
      .slice(0, atMost)
      .map(({ sealedSecrets, ...job }): JobRecord => job);
    if (jobs.length === 0) return [];
    await archiveJobs(this.archives(), jobs, this.now());
    const counts = this.archivedCounts();
    for (const { cluster } of jobs) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
    await Promise.all([
      this.write({ op: 'removeJobs', params: { uuids: jobs.map(({ uuid }) => uuid) } }),
      this.setSetting(ARCHIVED_COUNTS, JSON.stringify(Object.fromEntries(counts))),
    ]);
    return jobs;
  }

  /** How many jobs of each cluster were archived. */
  archivedCounts(): Map<string, number> {
    const text = this.setting(ARCHIVED_COUNTS);
    return new Map(Object.entries(text === undefined ? {} : (JSON.parse(text) as Record<string, number>)));
  }

  /**
   * Archived jobs of a cluster, newest first, or only the one of a number; those whose move a crash cut short are still
   * among the stored ones and not here. Reads files, so not for every day. Rejects with StoreReadError.
   */
  async archivedJobs(cluster: string, limit: number, id?: number): Promise<Archived> {
    if (id !== undefined && id >= this.database.nextJobId(cluster)) return { jobs: [], damaged: [] };
    const query = { cluster, limit, ...(id === undefined ? {} : { id }) };
    const { jobs, damaged } = await archivedJobs(this.archives(), query);
    return { jobs: jobs.filter(({ uuid }) => !this.jobByUuid(uuid)), damaged };
  }

  /** Writes a new snapshot and an empty journal now. Resolves when done; rejects when the disk does not take it. */
  compact(): Promise<void> {
    return this.queue.compact();
  }

  /** Saves what is under way and closes the files; later changes reject with StoreClosedError, reads throw. */
  async close(): Promise<void> {
    await this.queue.close();
    this.database.close();
  }

  private archives(): ArchiveContext {
    const disk = this.options.disk ?? nodeDisk;
    return { disk, engine: this.engine, folder: join(this.folder, 'archive') };
  }

  private write(change: Change, urgency: Urgency = 'now'): Promise<void> {
    return this.queue.write(change, urgency);
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}
