import { join } from 'node:path';
import type { JobRecord } from '../queue/jobRecord';
import type { Disk } from './disk';
import { StoreWriteError } from './errors';
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

/**
 * Adds the jobs, durably, to the archive of the month (UTC) of the time (ms since 1970). One file a month bounds what a call
 * rewrites. A job that is there already is replaced. Throws StoreWriteError.
 */
export async function archiveJobs(
  { disk, engine, folder }: ArchiveContext,
  jobs: readonly JobRecord[],
  time: number,
): Promise<void> {
  const path = join(folder, `${new Date(time).toISOString().slice(0, 7)}.db`);
  try {
    await disk.makeFolder(folder);
    const old = await disk.read(path);
    const content = old && openSnapshot(path, old);
    // A damaged archive is history nobody can trust; it must not stop the queue, nor be overwritten.
    if (old && !content) await disk.rename(path, `${path}.damaged-${time}`);
    const database = new engine.Database(content);
    try {
      database.run('BEGIN');
      database.run(SCHEMA);
      for (const job of jobs) {
        database.run('INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?)', [
          job.uuid,
          job.cluster,
          job.id,
          JSON.stringify(job),
        ]);
      }
      database.run('COMMIT');
      const bytes = database.export();
      await replaceFile(disk, folder, path, [bytes, snapshotSeal(bytes)]);
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new StoreWriteError(path, cause);
  }
}
