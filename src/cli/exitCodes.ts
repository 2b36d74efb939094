import type { JobStatus } from '../queue';

/** What `cq` ends with; those of a job as `sky logs` has them. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  failed: 100,
  notFinished: 101,
  notFound: 102,
  cancelled: 103,
  /** By a signal, before anything was done; as shells have it. */
  interrupted: 130,
} as const;

/** The exit code that tells a job's status. */
export function exitCodeOf(status: JobStatus): number {
  switch (status) {
    case 'SUCCEEDED':
      return EXIT.ok;
    case 'FAILED':
    case 'FAILED_SETUP':
    case 'LOST':
      return EXIT.failed;
    case 'CANCELLED':
      return EXIT.cancelled;
    case 'PENDING':
    case 'SETTING_UP':
    case 'RUNNING':
      return EXIT.notFinished;
  }
}
