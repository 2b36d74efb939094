/** A job's place among those that go to a home. */
export interface Turn {
  readonly home: string;
  /** Sorts as the queue does. */
  readonly key: string;
}

/** Jobs whose files are on their way to homes: what comes after one of them would be there first, and start first. */
export class Arrivals {
  private readonly homes = new Map<string, Set<Turn>>();
  /** By home, the first key of those. */
  private readonly firsts = new Map<string, string>();
  private waiters: (() => void)[] = [];

  /** The job's files are on their way from now on. */
  expect(job: Turn): void {
    const coming = this.homes.get(job.home) ?? new Set();
    this.homes.set(job.home, coming.add(job));
    const first = this.firsts.get(job.home);
    if (first === undefined || job.key < first) this.firsts.set(job.home, job.key);
  }

  /** The job has been sent, or will not be. False when its files were not on their way. */
  passed(job: Turn): boolean {
    const coming = this.homes.get(job.home);
    if (coming?.delete(job) !== true) return false;
    if (coming.size === 0) {
      this.homes.delete(job.home);
      this.firsts.delete(job.home);
    } else if (this.firsts.get(job.home) === job.key) {
      const [first = ''] = [...coming].map(({ key }) => key).sort();
      this.firsts.set(job.home, first);
    }
    for (const wake of this.waiters.splice(0)) wake();
    return true;
  }

  /** Whether the files of one that comes before the job are on their way to its home. */
  isBehind({ home, key }: Turn): boolean {
    const first = this.firsts.get(home);
    return first !== undefined && first < key;
  }

  /** Resolves when the job is behind none any more. */
  async turn(job: Turn): Promise<void> {
    while (this.isBehind(job)) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }
}
