import { isFinished, isOnNodes } from '../queue';
import type { JobView } from '../engine';
import type { WireJobs } from './protocol';

/** How many of a cluster's newest jobs are held without being asked for. */
export const WINDOW = 200;

/** The jobs of one cluster that a process holds: all from `floor` up, and older ones that changed lately. */
export class JobWindow {
  private readonly byId = new Map<number, JobView>();
  private sorted: number[] | undefined;
  private floor = 1;
  private limit = WINDOW;
  private trimAt = 2 * WINDOW;

  constructor(jobs: WireJobs) {
    this.extend(jobs, WINDOW);
    this.floor = jobs.floor;
  }

  get(id: number): JobView | undefined {
    return this.byId.get(id);
  }

  all(): IterableIterator<JobView> {
    return this.byId.values();
  }

  set(view: JobView): void {
    if (!this.byId.has(view.record.id)) this.sorted = undefined;
    this.byId.set(view.record.id, view);
    // Ended jobs of long ago are the store's to remember.
    if (this.byId.size > this.trimAt) this.trim();
  }

  /** Forgets a job that was archived. */
  remove(id: number): void {
    this.byId.delete(id);
    this.sorted = undefined;
  }

  /** Takes in the newest `limit` jobs, and keeps as many from now on. */
  extend({ floor, jobs }: WireJobs, limit: number): void {
    this.limit = Math.max(this.limit, limit);
    this.trimAt = Math.max(this.trimAt, 2 * this.limit);
    this.floor = Math.min(this.floor, floor);
    for (const view of jobs) this.byId.set(view.record.id, view);
    this.sorted = undefined;
  }

  /** The newest jobs, newest first, as far as they are held, and after them those that are older and on nodes. */
  newest(limit: number): JobView[] {
    this.sorted ??= [...this.byId.keys()].sort((a, b) => b - a);
    return this.sorted
      .flatMap((id) => this.byId.get(id) ?? [])
      .filter(({ record }, index) => index < limit || isOnNodes(record.status));
  }

  /** True when `newest(limit)` is what the store would say. */
  covers(limit: number): boolean {
    if (this.floor <= 1) return true;
    let held = 0;
    for (const id of this.byId.keys()) if (id >= this.floor) held++;
    return held >= limit;
  }

  wire(): WireJobs {
    return { floor: this.floor, jobs: [...this.byId.values()] };
  }

  private trim(): void {
    const ids = [...this.byId.keys()].sort((a, b) => b - a);
    this.sorted = undefined;
    for (const id of ids.slice(this.limit)) {
      const view = this.byId.get(id);
      if (view && isFinished(view.record.status)) this.byId.delete(id);
    }
    this.floor = Math.max(this.floor, ids[this.limit - 1] ?? 1);
    this.trimAt = 2 * Math.max(this.limit, this.byId.size);
  }
}
