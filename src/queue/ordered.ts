import type { JobDemand } from './job';

/** A job as the scheduler needs it. */
export interface SchedulerJob {
  /** Unique among the jobs the scheduler knows. */
  readonly id: string;
  /** Smaller starts earlier among equal priorities; unique on the cluster. */
  readonly order: number;
  /** Greater starts earlier. */
  readonly priority: number;
  readonly demand: JobDemand;
  /** Stays in the queue and starts only when no longer held. */
  readonly held?: boolean;
  /** How reasons call the job, e.g. `job 2`; `job <id>` when absent. */
  readonly label?: string;
}

/** Anything that has a place in the queue: that of its job. */
export interface Queued {
  readonly job: SchedulerJob;
}

/** Negative when `a` comes before `b` in the queue. */
export function compareJobs(a: SchedulerJob, b: SchedulerJob): number {
  return b.priority - a.priority || a.order - b.order || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Block length at which an insertion splits; of 64 to 1024 the one that made a full plan of 100,000 jobs fastest. */
const FULL = 128;

/** Items in queue order, at most one for each job; a list in blocks, so that no change touches all of it. */
export class Ordered<T extends Queued> {
  private blocks: T[][] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  get first(): T | undefined {
    return this.blocks[0]?.[0];
  }

  /** In queue order. */
  *all(): Iterable<T> {
    for (const block of this.blocks) yield* block;
  }

  add(item: T): void {
    this.count++;
    const at = Math.min(this.blockOf(item.job), this.blocks.length - 1);
    const block = this.blocks[at];
    if (!block) {
      this.blocks.push([item]);
      return;
    }
    block.splice(indexIn(block, item.job), 0, item);
    if (block.length <= FULL) return;
    // Jobs are mostly appended: then the last block stays full instead of being halved.
    const appended = at === this.blocks.length - 1 && block.at(-1) === item;
    this.blocks.splice(at + 1, 0, block.splice(appended ? FULL : FULL / 2));
  }

  /** Deletes the item of a job. Throws when it isn't in the list. */
  delete(job: SchedulerJob): void {
    // The first one, which is what starts, needs no search.
    const at = this.first?.job === job ? 0 : this.blockOf(job);
    const block = this.blocks[at];
    const index = block && block[0]?.job !== job ? indexIn(block, job) : 0;
    if (block?.[index]?.job.id !== job.id) throw new Error(`job ${job.id} is not where the queue has it`);
    this.count--;
    // `shift` doesn't move the rest, as `splice` would.
    if (index === 0) block.shift();
    else block.splice(index, 1);
    if (block.length === 0) this.blocks.splice(at, 1);
  }

  clear(): void {
    this.blocks = [];
    this.count = 0;
  }

  /** Deletes all items that pass the test, in one walk over the list. */
  deleteWhere(test: (item: T) => boolean): void {
    const kept = this.blocks.map((block) => (block.some(test) ? block.filter((item) => !test(item)) : block));
    const blocks = kept.filter((block) => block.length > 0);
    this.blocks = blocks;
    this.count = blocks.reduce((sum, block) => sum + block.length, 0);
  }

  /** 1 for the first. */
  position(job: SchedulerJob): number {
    const at = this.blockOf(job);
    let before = 0;
    for (let i = 0; i < at; i++) before += this.blocks[i]?.length ?? 0;
    return before + indexIn(this.blocks[at] ?? [], job) + 1;
  }

  /** The first item past this job's place (or of all) that passes the test. */
  firstAfter(job: SchedulerJob | undefined, test: (item: T) => boolean): T | undefined {
    let at = job ? this.blockOf(job) : 0;
    const start = this.blocks[at];
    let index = job && start ? indexIn(start, job) : 0;
    if (job && start?.[index]?.job.id === job.id) index++;
    for (let block = start; block; block = this.blocks[++at]) {
      for (; index < block.length; index++) {
        const item = block[index];
        if (item !== undefined && test(item)) return item;
      }
      index = 0;
    }
    return undefined;
  }

  /** The first block that ends with the job or one after it. */
  private blockOf(job: SchedulerJob): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const last = this.blocks[middle]?.at(-1);
      if (last && compareJobs(last.job, job) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function indexIn(block: readonly Queued[], job: SchedulerJob): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = block[middle];
    if (other && compareJobs(other.job, job) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
