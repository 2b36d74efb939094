import { dirname, join } from 'node:path';
import type { JobRecord } from '../queue/jobRecord';
import type { Disk } from './disk';
import { StoreReadError, StoreVersionError, StoreWriteError } from './errors';
import { replaceFile } from './recovery';
import { openSnapshot, snapshotSeal } from './snapshot';
import type { SqlEngine } from './sqlEngine';

/** Where archives are kept and with what they are written. */
export interface ArchiveContext {
  readonly disk: Disk;
  readonly engine: SqlEngine;
  readonly folder: string;
}

const SCHEMA = `CREATE TABLE IF NOT EXISTS job (
  uuid TEXT PRIMARY KEY, cluster TEXT NOT NULL, id INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID`;
const FILE = /^(\d{4}-\d\d)(?:\.(\d+))?\.db$/;
// A call rewrites one file, so files are kept small: a further one is begun when the month's has grown to this.
const LARGEST_BYTES = 8 << 20;

/**
 * Adds the jobs, durably, to the archive of the month (UTC) of the time (ms since 1970): `2026-11.db`, and `2026-11.2.db`
 * and so on when that one is large. A job that is there already is replaced. Throws StoreWriteError, StoreVersionError.
 */
export async function archiveJobs(
  context: ArchiveContext,
  jobs: readonly JobRecord[],
  time: number,
): Promise<void> {
  const { disk, engine, folder } = context;
  const month = new Date(time).toISOString().slice(0, 7);
  let path = join(folder, `${month}.db`);
  try {
    await disk.makeFolder(folder);
    // The folder may be new, and the jobs leave the store on the strength of what is in it.
    await disk.syncFolder(dirname(folder));
    const names = (await archiveFiles(context)).filter((name) => name.startsWith(month));
    path = join(folder, names[0] ?? `${month}.db`);
    let old = await disk.read(path);
    if (old && old.length > LARGEST_BYTES) {
      path = join(folder, `${month}.${names.length + 1}.db`);
      old = await disk.read(path);
    }
    const content = old && openSnapshot(path, old);
    // A damaged archive is history nobody can trust; it must not stop the queue, nor be overwritten.
    if (old && !content) await disk.rename(path, `${path}.damaged-${time}`);
    const database = new engine.Database(content);
    try {
      database.run('BEGIN');
      database.run(SCHEMA);
      const insert = database.prepare('INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?)');
      for (const job of jobs) insert.run([job.uuid, job.cluster, job.id, JSON.stringify(job)]);
      insert.free();
      database.run('COMMIT');
      const bytes = database.export();
      await replaceFile(disk, folder, path, [bytes, snapshotSeal(bytes)]);
    } finally {
      database.close();
    }
  } catch (cause) {
    throw cause instanceof StoreVersionError ? cause : new StoreWriteError(path, cause);
  }
}

/** Archived jobs, the newest first, and the files whose jobs are not among them because they are damaged. */
export interface Archived {
  readonly jobs: JobRecord[];
  readonly damaged: string[];
}

/** Which archived jobs are wanted. */
export interface ArchiveQuery {
  readonly cluster: string;
  /** Only the job of this number. */
  readonly id?: number;
  /** At most so many. */
  readonly limit: number;
}

/** Archived jobs of a cluster, those with the highest numbers first. Throws StoreReadError, StoreVersionError. */
export async function archivedJobs(
  context: ArchiveContext,
  { cluster, id, limit }: ArchiveQuery,
): Promise<Archived> {
  const { disk, engine, folder } = context;
  const damaged: string[] = [];
  // By uuid: a crash while a job was moved may have left it in two files.
  const found = new Map<string, JobRecord>();
  for (const name of await archiveFiles(context)) {
    const path = join(folder, name);
    const bytes = await disk.read(path).catch((cause: unknown) => {
      throw new StoreReadError(path, cause);
    });
    const content = bytes && openSnapshot(path, bytes);
    if (!content) {
      if (bytes) damaged.push(path);
      continue;
    }
    const database = new engine.Database(content);
    try {
      const rows = database.prepare(
        `SELECT uuid, record FROM job WHERE cluster = ? ${id === undefined ? '' : 'AND id = ?'} ORDER BY id DESC LIMIT ?`,
      );
      rows.bind([cluster, ...(id === undefined ? [] : [id]), limit]);
      while (rows.step()) {
        const [uuid, record] = rows.get();
        if (!found.has(String(uuid))) found.set(String(uuid), JSON.parse(String(record)) as JobRecord);
      }
      rows.free();
    } finally {
      database.close();
    }
    if (id !== undefined && found.size > 0) break;
  }
  const jobs = [...found.values()].sort((a, b) => b.id - a.id).slice(0, limit);
  return { jobs, damaged };
}

/** Names of the archive's files, the newest first. */
async function archiveFiles({ disk, folder }: ArchiveContext): Promise<string[]> {
  const names = await disk.list(folder).catch((cause: unknown) => {
    throw new StoreReadError(folder, cause);
  });
  const part = (name: string): number => Number(FILE.exec(name)?.[2] ?? 1);
  const month = (name: string): string => FILE.exec(name)?.[1] ?? '';
  return names
    .filter((name) => FILE.test(name))
    .sort((a, b) => month(b).localeCompare(month(a)) || part(b) - part(a));
}
