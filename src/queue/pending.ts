import { compileDemand, demandKey, type CompiledDemand, type Need } from './demand';
import { Ordered, type Queued, type SchedulerJob } from './ordered';

/** The first job of a demand class, as one of its slots has it. */
export interface Head extends Queued {
  /** The needs of the class that are of this slot. */
  readonly needs: readonly Need[];
  /** The least of the needs; kept here so that a scan of many heads touches nothing else. */
  readonly leastCpus: number;
  readonly leastMemory: number;
  readonly demandClass: DemandClass;
}

/** Needs for the same devices, which differ at most in CPUs and memory. */
export interface Slot {
  readonly key: string;
  /** What they have in common: the devices. */
  readonly sample: Need;
  /** One for each demand class with jobs. */
  readonly heads: Ordered<Head>;
}

/** The jobs of one and the same demand: when the first doesn't fit, none of them does. */
export interface DemandClass {
  readonly demand: CompiledDemand;
  readonly jobs: Ordered<Entry>;
  readonly slots: readonly { readonly slot: Slot; readonly needs: readonly Need[] }[];
  /** What the slots have as this class's first job. */
  head: SchedulerJob | undefined;
  fresh: boolean;
}

interface Entry extends Queued {
  /** Undefined while held. */
  readonly demandClass: DemandClass | undefined;
  /** Left the queue, though still in its order until `settle`. */
  started: boolean;
}

/** When at least one job in so many has started, one walk over the queue is cheaper than a search for each. */
const WALK = 64;

/** The queue: all pending jobs in order, and those that may start indexed by what they need of a node. */
export class PendingJobs {
  private readonly byId = new Map<string, Entry>();
  private readonly order = new Ordered<Entry>();
  private readonly classes = new Map<string, DemandClass>();
  private readonly bySlot = new Map<string, Slot>();
  private readonly freshClasses = new Set<DemandClass>();
  private started: Entry[] = [];
  /** The first jobs of classes that no plan has looked at yet. */
  readonly fresh = new Ordered<Head>();

  get size(): number {
    return this.byId.size;
  }

  get(id: string): SchedulerJob | undefined {
    return this.byId.get(id)?.job;
  }

  position(job: SchedulerJob): number {
    return this.order.position(job);
  }

  *ids(): Iterable<string> {
    for (const { job } of this.order.all()) yield job.id;
  }

  slots(): Iterable<Slot> {
    return this.bySlot.values();
  }

  add(job: SchedulerJob): void {
    const demandClass = job.held === true ? undefined : this.classFor(job);
    const entry: Entry = { job, demandClass, started: false };
    this.byId.set(job.id, entry);
    this.order.add(entry);
    if (!demandClass) return;
    demandClass.jobs.add(entry);
    this.updateHead(demandClass);
  }

  /** Deletes a job that is in the queue. */
  delete(job: SchedulerJob): void {
    const demandClass = this.byId.get(job.id)?.demandClass;
    this.byId.delete(job.id);
    this.order.delete(job);
    if (!demandClass) return;
    demandClass.jobs.delete(job);
    this.updateHead(demandClass);
  }

  /** Deletes the first job of a demand class; `settle` must follow before anything else is asked or changed. */
  start(head: Head): void {
    const { demandClass, job } = head;
    const entry = demandClass.jobs.first;
    if (entry?.job !== job) throw new Error(`job ${job.id} is not the first of its demand`);
    this.byId.delete(job.id);
    entry.started = true;
    this.started.push(entry);
    demandClass.jobs.delete(job);
    this.updateHead(demandClass);
  }

  /** Ends a plan: what it started is out of the order, and nothing that it looked at is fresh. */
  settle(): void {
    if (this.started.length * WALK > this.order.size) this.order.deleteWhere((entry) => entry.started);
    else for (const { job } of this.started) this.order.delete(job);
    this.started = [];
    this.forgetFresh();
  }

  /** Every demand is looked at by this plan, or was: none is fresh. */
  forgetFresh(): void {
    for (const demandClass of this.freshClasses) demandClass.fresh = false;
    this.freshClasses.clear();
    this.fresh.clear();
  }

  private classFor(job: SchedulerJob): DemandClass {
    const key = demandKey(job.demand);
    let demandClass = this.classes.get(key);
    if (!demandClass) {
      const demand = compileDemand(job.demand, key);
      const slots = this.slotsOf(demand);
      demandClass = { demand, jobs: new Ordered(), slots, head: undefined, fresh: true };
      this.classes.set(key, demandClass);
      this.freshClasses.add(demandClass);
    }
    return demandClass;
  }

  private slotsOf(demand: CompiledDemand): DemandClass['slots'] {
    const found = new Map<Slot, Need[]>();
    for (const need of demand.needs) {
      const key = `${need.gpuKey}:${need.devices}:${need.units}`;
      let slot = this.bySlot.get(key);
      if (!slot) {
        slot = { key, sample: { ...need, cpus: 0, memory: 0 }, heads: new Ordered() };
        this.bySlot.set(key, slot);
      }
      const needs = found.get(slot);
      if (needs) needs.push(need);
      else found.set(slot, [need]);
    }
    return [...found].map(([slot, needs]) => ({ slot, needs }));
  }

  private updateHead(demandClass: DemandClass): void {
    const { demand, slots, fresh } = demandClass;
    const old = demandClass.head;
    const job = demandClass.jobs.first?.job;
    if (job === old) return;
    demandClass.head = job;
    let head: Head | undefined;
    for (const { slot, needs } of slots) {
      if (old) slot.heads.delete(old);
      if (job) slot.heads.add((head = headOf(job, needs, demandClass)));
      else if (slot.heads.size === 0) this.bySlot.delete(slot.key);
    }
    if (fresh && old) this.fresh.delete(old);
    if (fresh && job)
      this.fresh.add(head && slots.length === 1 ? head : headOf(job, demand.needs, demandClass));
    if (job) return;
    this.classes.delete(demand.key);
    this.freshClasses.delete(demandClass);
  }
}

function headOf(job: SchedulerJob, needs: readonly Need[], demandClass: DemandClass): Head {
  let leastCpus = Infinity;
  let leastMemory = Infinity;
  for (const { cpus, memory } of needs) {
    if (cpus < leastCpus) leastCpus = cpus;
    if (memory < leastMemory) leastMemory = memory;
  }
  return { job, needs, leastCpus, leastMemory, demandClass };
}
