import { duration, type JobRecord, type JobStatus } from '../queue';

/** The icon of a job's status, by its name in VS Code. */
export const STATUS_ICONS: Readonly<Record<JobStatus, string>> = {
  PENDING: 'clock',
  SETTING_UP: 'loading~spin',
  RUNNING: 'sync~spin',
  SUCCEEDED: 'pass',
  FAILED: 'error',
  FAILED_SETUP: 'error',
  CANCELLED: 'circle-slash',
  LOST: 'question',
};

/**
 * What became of a task file's job, for a code lens, with how long it ran. Of one that has not ended it says no time: a lens
 * is made anew only when its job changes.
 */
export function fileStatusWords({ id, cluster, status, startedAt, endedAt }: JobRecord): string {
  const ran = startedAt !== undefined && endedAt !== undefined ? ` · ${duration(endedAt - startedAt)}` : '';
  return `$(${STATUS_ICONS[status]})\u00a0job ${id} on ${cluster}: ${status}${ran}`;
}
