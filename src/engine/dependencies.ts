import type { JobRecord } from '../queue';

/** Which jobs wait for which others to succeed. */
export class Dependencies {
  /** By waiting job: what it still waits for. */
  private readonly missing = new Map<string, Set<string>>();
  /** By job that is waited for: who waits. */
  private readonly dependents = new Map<string, Set<string>>();

  /** Notes a job that waits for `unfinished` ones; true when there is any. */
  add(uuid: string, unfinished: readonly string[]): boolean {
    if (unfinished.length === 0) return false;
    this.missing.set(uuid, new Set(unfinished));
    for (const other of unfinished) {
      const waiting = this.dependents.get(other) ?? new Set();
      this.dependents.set(other, waiting.add(uuid));
    }
    return true;
  }

  /** What a job still waits for. */
  of(uuid: string): readonly string[] {
    return [...(this.missing.get(uuid) ?? [])];
  }

  /** Whether others wait for a job. */
  isAwaited(uuid: string): boolean {
    return this.dependents.has(uuid);
  }

  /** A job has ended: which jobs may start now, and which never will. */
  settle(record: JobRecord): { freed: string[]; doomed: string[] } {
    const waiting = [...(this.dependents.get(record.uuid) ?? [])];
    this.dependents.delete(record.uuid);
    this.forget(record.uuid);
    if (record.status !== 'SUCCEEDED') {
      for (const uuid of waiting) this.forget(uuid);
      return { freed: [], doomed: waiting };
    }
    const freed = waiting.filter((uuid) => {
      const missing = this.missing.get(uuid);
      missing?.delete(record.uuid);
      if (missing?.size !== 0) return false;
      this.missing.delete(uuid);
      return true;
    });
    return { freed, doomed: [] };
  }

  private forget(uuid: string): void {
    for (const other of this.missing.get(uuid) ?? []) this.dependents.get(other)?.delete(uuid);
    this.missing.delete(uuid);
  }
}
