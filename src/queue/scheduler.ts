import { compileNeed, type CompiledDemand, type Need } from './demand';
import { Failures } from './failures';
import type { JobDemand, Placement } from './job';
import type { Holding, NodeAvailability, NodeState, SchedulerNode } from './node';
import { NodeTable } from './nodeTable';
import type { SchedulerJob } from './ordered';
import { PendingJobs } from './pending';
import { explain, type PendingReason } from './reason';
import { refuse } from './refusal';
import { Sweep } from './sweep';
import { totalsOf, usageOf, type ClusterTotals, type NodeUsage } from './usage';

/** A job that may start, and where. */
export interface Start {
  readonly id: string;
  readonly placement: Placement;
}

interface Running {
  job: SchedulerJob;
  /** By rank; undefined once the rank has ended. */
  readonly holdings: (Holding | undefined)[];
}

/**
 * Decides which jobs of one cluster start where: in order of (priority, order), each one that fits now, without
 * reservations. It holds the state, hears what changes, and looks only at what a change can have made possible.
 * No time, no randomness, no IO: the same history gives the same starts.
 *
 * Invariant after `takeStarts`: no pending job that isn't held fits. So later only jobs of a new demand class and
 * those that fit on a node that got freer need a look.
 */
export class Scheduler {
  private readonly nodes = new NodeTable();
  private readonly pending = new PendingJobs();
  private readonly running = new Map<string, Running>();
  private readonly freed = new Set<NodeState>();
  private readonly failures = new Failures();

  /** Adds a node (it is up) or replaces its inventory (state and foreign marks stay; running jobs keep their devices). */
  setNode(node: SchedulerNode): void {
    this.gotFreer(this.nodes.set(node));
  }

  /** Forgets a node. What runs on it is still held until it is released, and counts again if the node comes back. */
  removeNode(id: string): void {
    const node = this.node(id);
    this.nodes.delete(node);
    this.freed.delete(node);
  }

  /** Jobs start only on nodes that are up. Throws for an unknown node. */
  setNodeState(id: string, state: NodeAvailability): void {
    const node = this.node(id);
    if (node.availability === state) return;
    this.nodes.setAvailability(node, state);
    if (state === 'up') this.gotFreer(node);
  }

  /**
   * Marks a device as used outside this queue, by whom (may be empty), or with undefined as no longer so. Throws for an
   * unknown node; a device that the node doesn't have is ignored, since it cannot be given to anyone.
   */
  setForeign(nodeId: string, device: number, by: string | undefined): void {
    const node = this.node(nodeId);
    const state = node.devices.find((candidate) => candidate.spec.index === device);
    if (!state || state.foreign === by) return;
    this.nodes.setForeign(node, state, by);
    if (by === undefined) this.gotFreer(node);
  }

  /** Why the demand can never be met by the nodes there are (also those down or draining); undefined when it can. */
  refusal(demand: JobDemand): string | undefined {
    return refuse(this.nodes, demand);
  }

  /** Puts a job into the queue. Throws when the id is known. */
  submit(job: SchedulerJob): void {
    this.assertNew(job.id);
    this.pending.add(job);
  }

  /** Takes over a job that runs already; its nodes need not be known yet. Throws when the id is known or the alternative isn't there. */
  adopt(job: SchedulerJob, placement: Placement): void {
    this.assertNew(job.id);
    const demand = job.demand.alternatives[placement.alternative];
    if (!demand) throw new Error(`job ${job.id} has no alternative ${placement.alternative}`);
    this.hold(job, placement, compileNeed(demand));
  }

  /** Moves, holds or lets go of a pending job; of a running one, changes where `requeue` will put it. */
  setOrder(id: string, change: { priority?: number; order?: number; held?: boolean }): void {
    const running = this.running.get(id);
    if (running) {
      running.job = { ...running.job, ...change };
      return;
    }
    const job = this.pendingJob(id);
    this.pending.delete(job);
    this.pending.add({ ...job, ...change });
  }

  /** Takes a pending job out of the queue. Throws when it isn't pending: a running one is released. */
  remove(id: string): void {
    this.pending.delete(this.pendingJob(id));
  }

  /** A running job, or one rank of it, has ended: what it held is free. Throws for a job that isn't running. */
  release(id: string, rank?: number): void {
    const running = this.runningJob(id);
    for (const [at, holding] of running.holdings.entries()) {
      if (!holding || (rank !== undefined && rank !== at)) continue;
      running.holdings[at] = undefined;
      const node = this.nodes.give(holding);
      if (node) this.gotFreer(node);
    }
    if (running.holdings.every((holding) => holding === undefined)) this.running.delete(id);
  }

  /**
   * A node refused the launch: the job goes back to its old place in the queue. Mark what the node said is taken as
   * foreign first, or the job is sent there again. Throws for a job that isn't running.
   */
  requeue(id: string): void {
    const { job } = this.runningJob(id);
    this.release(id);
    this.pending.add(job);
  }

  /** All starts that the changes since the last call allow, in queue order; their devices are taken from now on. */
  takeStarts(): Start[] {
    const starts: Start[] = [];
    if (this.freed.size > 0) this.failures.clear();
    const sweep = new Sweep(this.pending, this.nodes, [...this.freed], this.failures);
    for (let head = sweep.next(); head; head = sweep.next()) {
      const { job, demandClass } = head;
      const placement = this.place(demandClass.demand);
      const need = placement && demandClass.demand.needs[placement.alternative];
      if (!need) continue;
      this.pending.start(head);
      this.hold(job, placement, need);
      starts.push({ id: job.id, placement });
    }
    this.freed.clear();
    this.pending.settle();
    return starts;
  }

  /** Why a pending job doesn't run yet. Throws when it isn't pending. */
  reason(id: string): PendingReason {
    const job = this.pendingJob(id);
    const label = (other: string): string => {
      return this.running.get(other)?.job.label ?? `job ${other}`;
    };
    return explain(this.nodes, job, this.pending.position(job), label);
  }

  /** All that are pending, in queue order; nothing may change while it is walked. */
  pendingIds(): Iterable<string> {
    return this.pending.ids();
  }

  /** Place in the queue, 1 for the next; undefined when not pending. */
  position(id: string): number | undefined {
    const job = this.pending.get(id);
    return job && this.pending.position(job);
  }

  /** What is used and free on a node. Throws for an unknown node. */
  usage(nodeId: string): NodeUsage {
    return usageOf(this.node(nodeId));
  }

  /** Sums over the cluster. */
  totals(): ClusterTotals {
    return totalsOf(this.nodes.all(), { pending: this.pending.size, running: this.running.size });
  }

  private place(demand: CompiledDemand): Placement | undefined {
    const { numNodes } = demand;
    for (const [alternative, need] of demand.needs.entries()) {
      if (this.failures.cover(need, numNodes)) continue;
      const picks = this.nodes.find(need, numNodes);
      if (!picks) {
        this.failures.add(need, numNodes);
        continue;
      }
      picks.sort((a, b) => a.node.ordinal - b.node.ordinal);
      const ranks = picks.map((pick) => ({
        node: pick.node.spec.id,
        devices: this.nodes.choose(pick, need),
      }));
      return { ranks, alternative };
    }
    return undefined;
  }

  private hold(job: SchedulerJob, placement: Placement, need: Need): void {
    const { units, cpus, memory } = need;
    const holdings = placement.ranks.map(({ node, devices }, rank) => {
      const holding: Holding = { job: job.id, rank, node, devices, units, cpus, memory };
      this.nodes.take(holding);
      return holding;
    });
    this.running.set(job.id, { job, holdings });
  }

  private gotFreer(node: NodeState): void {
    if (node.availability === 'up') this.freed.add(node);
  }

  private assertNew(id: string): void {
    if (this.pending.get(id) || this.running.has(id)) throw new Error(`job ${id} is known already`);
  }

  private pendingJob(id: string): SchedulerJob {
    const job = this.pending.get(id);
    if (!job) throw new Error(`job ${id} is not pending`);
    return job;
  }

  private runningJob(id: string): Running {
    const running = this.running.get(id);
    if (!running) throw new Error(`job ${id} is not running`);
    return running;
  }

  private node(id: string): NodeState {
    const node = this.nodes.get(id);
    if (!node) throw new Error(`node ${id} is not in the cluster`);
    return node;
  }
}
