import { mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import type { JobRecord } from '../queue';
import type { Store } from '../store';
import { archivedLogFileOf, logFileOf, logFolderOf } from './logMirror';
import { logFiles } from './logParts';
import { agreedSetting } from './agreedSetting';

/** How long the queue keeps finished jobs at hand before it archives them. */
export interface HistoryLimits {
  readonly maxAgeDays: number;
  /** Finished jobs of each cluster. */
  readonly maxJobs: number;
  /** How long nodes keep the folder of a job after its end and log are known here. */
  readonly daysOnNodes: number;
}

/** What archiving needs from the engine around it. */
export interface HistoryHost {
  /** Uuids of finished jobs that somebody still needs: their log is shown, or a waiting job comes after them. */
  needed(): Set<string>;
  archived(jobs: readonly JobRecord[]): void;
  failed(error: unknown): void;
}

export const DEFAULT_HISTORY: HistoryLimits = { maxAgeDays: 90, maxJobs: 10_000, daysOnNodes: 14 };

const SETTING = 'history';
const DAY_MS = 86_400_000;
// Not while the queue opens, when there is enough to do.
const FIRST_MS = 10_000;
const EVERY_MS = 3_600_000;

/**
 * Archives old finished jobs with their logs, now and then. A job's record is moved first and durably, and then its log: an
 * engine that is killed in between leaves the log where it was, and the next one moves it.
 */
export class History {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> = Promise.resolve();
  private swept = false;
  private closed = false;
  readonly limits: HistoryLimits;

  constructor(
    private readonly home: string,
    private readonly store: Store,
    given: HistoryLimits | undefined,
    private readonly host: HistoryHost,
  ) {
    this.limits = agreedSetting(store, SETTING, given, DEFAULT_HISTORY, (error) => host.failed(error));
    this.later(FIRST_MS);
  }

  /** Archives what is old, now. Resolves when done; errors are told to the host. */
  run(): Promise<void> {
    this.working = this.working
      .then(() => this.archive())
      .catch((error: unknown) => {
        if (!this.closed) this.host.failed(error);
      });
    return this.working;
  }

  /** Stops after what is being moved. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.working;
  }

  private later(ms: number): void {
    if (this.closed) return;
    this.timer = setTimeout(() => void this.run().then(() => this.later(EVERY_MS)), ms);
    this.timer.unref();
  }

  private async archive(): Promise<void> {
    if (!this.swept) await this.sweepLogs();
    this.swept = true;
    while (!this.isClosed()) {
      const jobs = await this.store.archive({
        olderThanMs: this.limits.maxAgeDays * DAY_MS,
        keepCount: this.limits.maxJobs,
        except: this.host.needed(),
      });
      if (jobs.length === 0) return;
      for (const job of jobs) await moveLog(logFileOf(this.home, job), archivedLogFileOf(this.home, job));
      this.host.archived(jobs);
    }
  }

  /** Moves logs of jobs that are not in the store: an engine was killed between the record and the log. */
  private async sweepLogs(): Promise<void> {
    const logs = logFolderOf(this.home);
    for (const cluster of await names(logs)) {
      for (const name of await names(path.join(logs, cluster))) {
        const id = Number(/^(\d+)-.*\.log$/.exec(name)?.[1]);
        if (this.isClosed() || Number.isNaN(id) || this.store.job(cluster, id)) continue;
        await moveLog(path.join(logs, cluster, name), path.join(this.home, 'archive', 'logs', cluster, name));
      }
    }
  }

  private isClosed(): boolean {
    return this.closed;
  }
}

async function names(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function moveLog(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
  for (const file of logFiles(from)) await moveFile(file, `${to}${file.slice(from.length)}`);
}

async function moveFile(from: string, to: string): Promise<void> {
  // A job that was never looked at has none; one that is open on Windows is moved the next time.
  await rename(from, to).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'ENOENT' && code !== 'EBUSY' && code !== 'EPERM') throw error;
  });
}
