import type { PendingReason } from '../queue';
import type { SyncProgress } from './workdirs';

/** Whose files are on their way to which nodes, and how far they are. */
export class SyncNotes {
  private readonly jobs = new Map<string, Map<string, SyncProgress>>();

  set(job: string, node: string, progress: SyncProgress): void {
    const nodes = this.jobs.get(job) ?? new Map<string, SyncProgress>();
    this.jobs.set(job, nodes.set(node, progress));
  }

  /** The files are there, or will not be; false when nothing was said of them. */
  end(job: string, node: string): boolean {
    const nodes = this.jobs.get(job);
    const known = nodes?.delete(node) === true;
    if (nodes?.size === 0) this.jobs.delete(job);
    return known;
  }

  /** What a job that is dispatched waits for: of several nodes the one that is furthest behind. */
  reason(job: string): PendingReason | undefined {
    const slowest = [...(this.jobs.get(job) ?? [])].sort(([, a], [, b]) => share(a) - share(b))[0];
    return slowest && { kind: 'files', text: words(...slowest), position: 0 };
  }
}

/** `syncing workdir to node-a: 12 of 20 MB, 1,300 of 2,000 files` */
function words(node: string, { bytes, totalBytes, files, totalFiles }: SyncProgress): string {
  const [unit, name] =
    totalBytes >= 10e9
      ? ([1e9, 'GB'] as const)
      : totalBytes >= 1e6
        ? ([1e6, 'MB'] as const)
        : ([1e3, 'kB'] as const);
  const size = (of: number): string => count(Math.round(of / unit));
  return `syncing workdir to ${node}: ${size(bytes)} of ${size(totalBytes)} ${name}, ${count(files)} of ${count(totalFiles)} files`;
}

function count(of: number): string {
  return of.toLocaleString('en-US');
}

function share({ bytes, totalBytes }: SyncProgress): number {
  return totalBytes === 0 ? 1 : bytes / totalBytes;
}
