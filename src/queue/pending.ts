import type { CompiledDemand, Need } from './demand';
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

/** Negative when `a` comes before `b` in the queue. */
export function compareJobs(a: SchedulerJob, b: SchedulerJob): number {
  return b.priority - a.priority || a.order - b.order || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Block length at which an insertion splits: moving half of it costs less than another look-up among blocks. */
const FULL = 512;

/** Jobs in queue order, with the place of each; an ordered list in blocks, so that no operation touches all of it. */
export class JobList {
  private readonly blocks: SchedulerJob[][] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  get first(): SchedulerJob | undefined {
    return this.blocks[0]?.[0];
  }

  add(job: SchedulerJob): void {
    this.count++;
    const at = Math.min(this.blockOf(job), this.blocks.length - 1);
    const block = this.blocks[at];
    if (!block) {
      this.blocks.push([job]);
      return;
    }
    block.splice(indexIn(block, job), 0, job);
    // Jobs are mostly appended; a full last block is then left full rather than halved.
    const appended = at === this.blocks.length - 1 && block[block.length - 1] === job;
    if (block.length > FULL) this.blocks.splice(at + 1, 0, block.splice(appended ? FULL : FULL / 2));
  }

  /** Deletes a job that is in the list. */
  delete(job: SchedulerJob): void {
    const at = this.blockOf(job);
    const block = this.blocks[at];
    const index = block ? indexIn(block, job) : -1;
    if (block?.[index]?.id !== job.id) throw new Error(`job ${job.id} is not where the queue has it`);
    this.count--;
    block.splice(index, 1);
    if (block.length === 0) this.blocks.splice(at, 1);
  }

  /** 1 for the first. */
  position(job: SchedulerJob): number {
    const at = this.blockOf(job);
    let before = 0;
    for (let i = 0; i < at; i++) before += this.blocks[i]?.length ?? 0;
    return before + indexIn(this.blocks[at] ?? [], job) + 1;
  }

  *[Symbol.iterator](): Iterator<SchedulerJob> {
    for (const block of this.blocks) yield* block;
  }

  /** The first block that ends with the job or one after it. */
  private blockOf(job: SchedulerJob): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const last = this.blocks[middle]?.at(-1);
      if (last && compareJobs(last, job) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function indexIn(block: readonly SchedulerJob[], job: SchedulerJob): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = block[middle];
    if (other && compareJobs(other, job) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The pending jobs of one and the same demand: when its first doesn't fit, none of them does. */
export class DemandClass {
  readonly jobs = new JobList();

  constructor(readonly demand: CompiledDemand) {}
}

/** The alternatives that need the same devices and differ at most in CPUs and memory. */
interface Slot {
  readonly sample: Need;
  readonly entries: Map<DemandClass, Need[]>;
}

/** The demand classes that have jobs, found by what they need of one node. */
export class ClassIndex {
  private readonly classes = new Map<string, DemandClass>();
  private readonly slots = new Map<string, Slot>();

  get(key: string): DemandClass | undefined {
    return this.classes.get(key);
  }

  all(): Iterable<DemandClass> {
    return this.classes.values();
  }

  add(demandClass: DemandClass): void {
    this.classes.set(demandClass.demand.key, demandClass);
    for (const need of demandClass.demand.needs) {
      const key = slotKey(need);
      let slot = this.slots.get(key);
      if (!slot)
        this.slots.set(key, (slot = { sample: { ...need, cpus: 0, memory: 0 }, entries: new Map() }));
      const needs = slot.entries.get(demandClass);
      if (needs) needs.push(need);
      else slot.entries.set(demandClass, [need]);
    }
  }

  delete(demandClass: DemandClass): void {
    this.classes.delete(demandClass.demand.key);
    for (const need of demandClass.demand.needs) {
      const key = slotKey(need);
      const slot = this.slots.get(key);
      slot?.entries.delete(demandClass);
      if (slot?.entries.size === 0) this.slots.delete(key);
    }
  }

  /** Adds to `into` the classes of which a node with so much free, and these devices, hosts at least one rank. */
  collect(
    hosts: (need: Need) => boolean,
    free: { readonly cpus: number; readonly memory: number },
    into: Set<DemandClass>,
  ): void {
    for (const slot of this.slots.values()) {
      if (!hosts(slot.sample)) continue;
      for (const [demandClass, needs] of slot.entries) {
        if (needs.some((need) => need.cpus <= free.cpus && need.memory <= free.memory)) into.add(demandClass);
      }
    }
  }
}

function slotKey(need: Need): string {
  return `${need.gpuKey}:${need.devices}:${need.units}`;
}
