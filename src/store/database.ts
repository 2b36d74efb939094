import type { BindParams, Database as SqlDatabase, Statement } from 'sql.js';
import { isFinished, type JobStatus } from '../queue/job';
import type { JobRecord } from '../queue/jobRecord';
import type { Change, JournalPatch, StoredCluster } from './changes';
import { StoreConflictError } from './errors';
import { MIGRATIONS, type Migration } from './schema';
import type { SqlEngine } from './sqlEngine';

/** Takes one change back; to be called in the reverse order of the changes. */
export type Undo = () => void;

const PUT_JOB = `INSERT INTO job (uuid, cluster, id, live, ended_at, record) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (uuid) DO UPDATE SET live = excluded.live, ended_at = excluded.ended_at, record = excluded.record`;

/** How jobs are found; each by an index, so that no read grows with the history. */
export const JOB_QUERIES = {
  live: 'SELECT record FROM job WHERE live = 1 ORDER BY cluster, id',
  recent: 'SELECT record FROM job WHERE cluster = ? AND id < ? ORDER BY id DESC LIMIT ?',
  byId: 'SELECT record FROM job WHERE cluster = ? AND id = ?',
  statuses: "SELECT json_extract(record, '$.status') FROM job WHERE cluster = ? AND id >= ? AND id < ?",
  byUuid: 'SELECT record FROM job WHERE uuid = ?',
  endedBefore: 'SELECT record FROM job WHERE live = 0 AND ended_at < ? ORDER BY ended_at LIMIT ?',
  logless: `SELECT record FROM job WHERE live = 0 AND ended_at > ?
    AND json_extract(record, '$.logBytes') IS NULL AND json_extract(record, '$.placement') IS NOT NULL`,
  finished: 'SELECT record FROM job WHERE cluster = ? AND live = 0 ORDER BY id LIMIT ?',
} as const;

// So many rows are written in some ms.
const MOST_UNWRITTEN = 250;

/** The state in memory: an SQLite database, its reads, and the changes that may be made to it. Knows no files. */
export class Database {
  private readonly statements = new Map<string, Statement>();
  /**
   * Changed jobs whose rows say what was before: a job changes several times within a second, and rows are read by others
   * than itself much less often.
   */
  private readonly unwritten = new Map<string, JobRecord>();

  private constructor(private readonly sql: SqlDatabase) {
    this.keepInMemory();
  }

  /** An empty database of the newest schema. */
  static empty(engine: SqlEngine, store: string, migrations = MIGRATIONS): Database {
    const database = new Database(new engine.Database());
    database.migrate(migrations);
    database.run('INSERT INTO meta VALUES (?, 0)', [store]);
    return database;
  }

  /**
   * The database in an SQLite file's bytes, of whatever version; throws when they are none. The bytes are its own from then
   * on, and changed: beside a large history there is no room for each of them twice.
   */
  static load(engine: SqlEngine, bytes: Buffer): Database {
    // sql.js keeps what `slice` gives it of the array as its file, which of a Buffer is a view, and else a copy.
    return new Database(new engine.Database(bytes));
  }

  /** How many migrations the database has had. */
  get version(): number {
    return Number(this.value('PRAGMA user_version', []));
  }

  /** Identity of the store, given at its making. */
  get store(): string {
    return String(this.value('SELECT store FROM meta', []));
  }

  /** Number of the last change that the loaded snapshot holds. */
  get snapshotSequence(): number {
    return Number(this.value('SELECT sequence FROM meta', []));
  }

  /** Brings the schema up to date, each step whole or not at all. */
  migrate(migrations: readonly Migration[]): void {
    this.writeRows();
    for (let version = this.version; version < migrations.length; version++) {
      this.transaction(() => {
        this.sql.exec(`${migrations[version] ?? ''}; PRAGMA user_version = ${version + 1}`);
      });
    }
  }

  /** The SQLite file of the state, marked as holding all changes up to the number. Takes O(history). */
  export(sequence: number): Uint8Array {
    this.writeRows();
    this.run('UPDATE meta SET sequence = ?', [sequence]);
    // sql.js closes and reopens the database to export it, which frees every statement.
    this.statements.clear();
    const bytes = this.sql.export();
    this.keepInMemory();
    return bytes;
  }

  close(): void {
    this.statements.clear();
    this.sql.close();
  }

  clusters(): StoredCluster[] {
    return this.rows(
      'SELECT c.name, c.definition, n.next_id, c.created_at FROM cluster c JOIN counter n ON n.cluster = c.name ORDER BY c.name',
      [],
    ).map(([name, definition, nextJobId, createdAt]) => ({
      name: String(name),
      definition: String(definition),
      nextJobId: Number(nextJobId),
      createdAt: Number(createdAt),
    }));
  }

  nextJobId(cluster: string): number {
    return Number(this.value('SELECT next_id FROM counter WHERE cluster = ?', [cluster]) ?? 1);
  }

  setting(key: string): string | undefined {
    const value = this.value('SELECT value FROM setting WHERE key = ?', [key]);
    return typeof value === 'string' ? value : undefined;
  }

  liveJobs(): JobRecord[] {
    return this.jobs(JOB_QUERIES.live, []);
  }

  recentJobs(cluster: string, limit: number, beforeId: number): JobRecord[] {
    return this.jobs(JOB_QUERIES.recent, [cluster, beforeId, limit]);
  }

  job(cluster: string, id: number): JobRecord | undefined {
    return this.jobs(JOB_QUERIES.byId, [cluster, id])[0];
  }

  /** How many of the jobs with these numbers have which status. */
  statuses(cluster: string, first: number, size: number): Map<JobStatus, number> {
    this.writeRows();
    const counts = new Map<JobStatus, number>();
    for (const [value] of this.rows(JOB_QUERIES.statuses, [cluster, first, first + size])) {
      const status = String(value) as JobStatus;
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    return counts;
  }

  jobByUuid(uuid: string): JobRecord | undefined {
    return this.unwritten.get(uuid) ?? this.parsed(JOB_QUERIES.byUuid, [uuid])[0];
  }

  /** Finished jobs that were on nodes, ended after the time (ms since 1970), and have no complete log here. */
  logless(time: number): JobRecord[] {
    return this.jobs(JOB_QUERIES.logless, [time]);
  }

  /**
   * At most `limit` finished jobs to be put away: those that ended before the time (ms since 1970), and of each cluster all
   * but the `keep` newest.
   */
  finishedJobs(endedBefore: number, keep: number, limit: number): JobRecord[] {
    const found = new Map(
      this.jobs(JOB_QUERIES.endedBefore, [endedBefore, limit]).map((job) => [job.uuid, job]),
    );
    for (const [cluster] of this.rows('SELECT cluster FROM counter', [])) {
      const count = 'SELECT count(*) FROM job WHERE cluster = ? AND live = 0';
      const surplus = Number(this.value(count, [String(cluster)])) - keep;
      if (surplus <= 0) continue;
      const oldest = this.jobs(JOB_QUERIES.finished, [String(cluster), Math.min(surplus, limit)]);
      for (const job of oldest) found.set(job.uuid, job);
    }
    return [...found.values()].slice(0, limit);
  }

  /** Makes the change, wholly or not at all. Throws StoreConflictError when it contradicts the state. */
  apply(change: Change): Undo {
    if (change.op === 'updateJob') return this.updateJob(change.params.uuid, change.params.patch);
    // What is half made is taken back in the rows alone.
    if (change.op === 'removeJobs') this.writeRows();
    const undos: Undo[] = [];
    const undoAll = (): void => this.transaction(() => undos.reverse().forEach((undo) => undo()));
    this.transaction(() => this.make(change, undos));
    return undoAll;
  }

  private make(change: Exclude<Change, { op: 'updateJob' }>, undos: Undo[]): void {
    switch (change.op) {
      case 'addJobs':
        for (const job of change.params.jobs) this.addJob(job, undos);
        break;
      case 'removeJobs':
        for (const uuid of change.params.uuids) this.removeJob(uuid, undos);
        break;
      case 'putCluster':
        this.putCluster(change.params, undos);
        break;
      case 'removeCluster':
        this.removeCluster(change.params.name, undos);
        break;
      case 'setSetting':
        this.setSetting(change.params.key, change.params.value, undos);
        break;
    }
  }

  private addJob(job: JobRecord, undos: Undo[]): void {
    if (this.jobByUuid(job.uuid)) throw new StoreConflictError(`job ${job.uuid} is already stored`);
    if (this.value('SELECT 1 FROM job WHERE cluster = ? AND id = ?', [job.cluster, job.id]) !== undefined) {
      throw new StoreConflictError(`cluster ${job.cluster} already has a job ${job.id}`);
    }
    this.putJob(job);
    undos.push(() => this.deleteJob(job.uuid));
    this.raiseCounter(job.cluster, job.id + 1, undos);
  }

  private updateJob(uuid: string, patch: JournalPatch): Undo {
    const before = this.mustHave(uuid);
    const after: JobRecord = { ...before, ...patch };
    // A cleared field is gone from the record.
    const left = Object.entries(after).filter(([key]) => patch[key] !== null);
    this.keep(Object.fromEntries(left) as unknown as JobRecord);
    return () => this.keep(before);
  }

  private keep(job: JobRecord): void {
    this.unwritten.set(job.uuid, job);
    if (this.unwritten.size > MOST_UNWRITTEN) this.writeRows();
  }

  private writeRows(): void {
    if (this.unwritten.size === 0) return;
    this.transaction(() => {
      for (const job of this.unwritten.values()) this.putJob(job);
    });
    this.unwritten.clear();
  }

  private removeJob(uuid: string, undos: Undo[]): void {
    const before = this.mustHave(uuid);
    this.deleteJob(uuid);
    undos.push(() => this.putJob(before));
  }

  private deleteJob(uuid: string): void {
    this.unwritten.delete(uuid);
    this.run('DELETE FROM job WHERE uuid = ?', [uuid]);
  }

  private putCluster(cluster: StoredCluster, undos: Undo[]): void {
    const before = this.clusters().find(({ name }) => name === cluster.name);
    this.writeCluster(cluster);
    undos.push(() =>
      before ? this.writeCluster(before) : this.run('DELETE FROM cluster WHERE name = ?', [cluster.name]),
    );
    this.raiseCounter(cluster.name, cluster.nextJobId, undos);
  }

  private removeCluster(name: string, undos: Undo[]): void {
    const before = this.clusters().find((cluster) => cluster.name === name);
    if (!before) throw new StoreConflictError(`there is no cluster ${name}`);
    this.run('DELETE FROM cluster WHERE name = ?', [name]);
    undos.push(() => this.writeCluster(before));
  }

  private setSetting(key: string, value: string | null, undos: Undo[]): void {
    const before = this.setting(key) ?? null;
    this.writeSetting(key, value);
    undos.push(() => this.writeSetting(key, before));
  }

  private raiseCounter(cluster: string, nextId: number, undos: Undo[]): void {
    const before = this.value('SELECT next_id FROM counter WHERE cluster = ?', [cluster]);
    if (before !== undefined && Number(before) >= nextId) return;
    this.run('INSERT OR REPLACE INTO counter VALUES (?, ?)', [cluster, nextId]);
    undos.push(() =>
      before === undefined
        ? this.run('DELETE FROM counter WHERE cluster = ?', [cluster])
        : this.run('UPDATE counter SET next_id = ? WHERE cluster = ?', [Number(before), cluster]),
    );
  }

  private putJob(job: JobRecord): void {
    const live = isFinished(job.status) ? 0 : 1;
    const endedAt = job.endedAt ?? job.submittedAt;
    this.run(PUT_JOB, [job.uuid, job.cluster, job.id, live, endedAt, JSON.stringify(job)]);
  }

  private writeCluster(cluster: StoredCluster): void {
    this.run('INSERT OR REPLACE INTO cluster VALUES (?, ?, ?)', [
      cluster.name,
      cluster.definition,
      cluster.createdAt,
    ]);
  }

  private writeSetting(key: string, value: string | null): void {
    if (value === null) this.run('DELETE FROM setting WHERE key = ?', [key]);
    else this.run('INSERT OR REPLACE INTO setting VALUES (?, ?)', [key, value]);
  }

  private mustHave(uuid: string): JobRecord {
    const job = this.jobByUuid(uuid);
    if (!job) throw new StoreConflictError(`there is no job ${uuid}`);
    return job;
  }

  /**
   * Spares a file for each change: SQLite would write what takes a change back into one of the pretended file system. What
   * must last is in the store's own journal.
   */
  private keepInMemory(): void {
    this.sql.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE');
  }

  private transaction(body: () => void): void {
    this.run('SAVEPOINT change', []);
    try {
      body();
    } catch (error) {
      this.run('ROLLBACK TO change', []);
      throw error;
    } finally {
      this.run('RELEASE change', []);
    }
  }

  private jobs(sql: string, params: BindParams): JobRecord[] {
    this.writeRows();
    return this.parsed(sql, params);
  }

  private parsed(sql: string, params: BindParams): JobRecord[] {
    return this.rows(sql, params).map(([record]) => JSON.parse(String(record)) as JobRecord);
  }

  private value(sql: string, params: BindParams): unknown {
    return this.rows(sql, params)[0]?.[0];
  }

  private run(sql: string, params: BindParams): void {
    this.rows(sql, params);
  }

  private rows(sql: string, params: BindParams): unknown[][] {
    const statement = this.prepared(sql);
    const rows: unknown[][] = [];
    try {
      statement.bind(params);
      while (statement.step()) rows.push(statement.get());
      return rows;
    } finally {
      // A statement left in the middle of its rows would keep the database from being changed.
      statement.reset();
    }
  }

  private prepared(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.sql.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }
}
