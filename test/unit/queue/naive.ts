import { gpuNameMatches } from '../../../src/cluster/gpuNames';
import type {
  NodeAvailability,
  NodeDemand,
  Placement,
  SchedulerJob,
  SchedulerNode,
  Start,
} from '../../../src/queue';
import { chooseWhole } from '../../../src/queue/node';

interface NaiveNode {
  spec: SchedulerNode;
  state: NodeAvailability;
  readonly foreign: Set<number>;
}

export interface NaiveRunning {
  job: SchedulerJob;
  readonly placement: Placement;
  /** Ranks that have not ended. */
  readonly alive: Set<number>;
}

/** One way to put a rank on a node; the smallest `key` is the best fit. */
interface Option {
  readonly node: NaiveNode;
  readonly key: readonly number[];
  readonly devices: readonly number[];
}

/**
 * The scheduler's rules in their plainest form: each plan starts from the running jobs alone and tries every pending
 * job on every node. Demands in these tests are multiples of a quarter, which binary numbers hold exactly.
 */
export class NaiveScheduler {
  readonly nodes = new Map<string, NaiveNode>();
  /** Order of first appearance, which breaks ties; a removed node keeps its place. */
  places: string[] = [];
  readonly pending = new Map<string, SchedulerJob>();
  readonly running = new Map<string, NaiveRunning>();

  setNode(spec: SchedulerNode): void {
    const old = this.nodes.get(spec.id);
    const kept = [...(old?.foreign ?? [])].filter((index) =>
      spec.devices.some((device) => device.index === index),
    );
    this.nodes.set(spec.id, { spec, state: old?.state ?? 'up', foreign: new Set(kept) });
    if (!this.places.includes(spec.id)) this.places.push(spec.id);
  }

  /** Pending jobs as the queue has them. */
  inOrder(): SchedulerJob[] {
    return [...this.pending.values()].sort((a, b) => b.priority - a.priority || a.order - b.order);
  }

  takeStarts(): Start[] {
    const starts: Start[] = [];
    for (const job of this.inOrder()) {
      const placement = job.held === true ? undefined : this.place(job);
      if (!placement) continue;
      this.pending.delete(job.id);
      this.running.set(job.id, { job, placement, alive: new Set(placement.ranks.keys()) });
      starts.push({ id: job.id, placement });
    }
    return starts;
  }

  /** Where the job would go now. */
  place(job: SchedulerJob): Placement | undefined {
    for (const [alternative, demand] of job.demand.alternatives.entries()) {
      const options = [...this.nodes.values()].flatMap((node) => this.option(node, demand) ?? []);
      options.sort((a, b) => compare(a.key, b.key));
      if (options.length < job.demand.numNodes) continue;
      const chosen = options.slice(0, job.demand.numNodes);
      chosen.sort((a, b) => this.places.indexOf(a.node.spec.id) - this.places.indexOf(b.node.spec.id));
      return { ranks: chosen.map(({ node, devices }) => ({ node: node.spec.id, devices })), alternative };
    }
    return undefined;
  }

  /** What the running jobs have of a node: per device index the share, and sums. */
  used(id: string): { devices: Map<number, number>; cpus: number; memoryMiB: number } {
    const used = { devices: new Map<number, number>(), cpus: 0, memoryMiB: 0 };
    for (const { job, placement, alive } of this.running.values()) {
      const demand = job.demand.alternatives[placement.alternative];
      for (const [rank, { node, devices }] of placement.ranks.entries()) {
        if (!demand || node !== id || !alive.has(rank)) continue;
        used.cpus += demand.cpus;
        used.memoryMiB += demand.memoryMiB;
        const share = Math.min(1, demand.gpu?.count ?? 0);
        for (const device of devices) used.devices.set(device, (used.devices.get(device) ?? 0) + share);
      }
    }
    return used;
  }

  private option(node: NaiveNode, demand: NodeDemand): Option | undefined {
    if (node.state !== 'up') return undefined;
    const used = this.used(node.spec.id);
    if (node.spec.cpus - used.cpus < demand.cpus) return undefined;
    if (node.spec.memoryMiB - used.memoryMiB < demand.memoryMiB) return undefined;
    const place = this.places.indexOf(node.spec.id);
    const gpu = demand.gpu;
    const rooms = node.spec.devices
      .filter((device) => gpu?.name === undefined || gpuNameMatches(gpu.name, device.name, device.memoryMiB))
      .map((spec) => ({
        spec,
        room: node.foreign.has(spec.index) ? 0 : Math.max(0, 1 - (used.devices.get(spec.index) ?? 0)),
      }));
    const free = rooms.filter(({ room }) => room === 1);
    if (!gpu) return { node, key: [1, free.length, place], devices: [] };
    if (gpu.count < 1) {
      const shared = rooms.filter(({ room }) => room >= gpu.count && room < 1);
      const best = shared.reduce<(typeof shared)[number] | undefined>(
        (least, device) => (least && least.room <= device.room ? least : device),
        undefined,
      );
      if (best) return { node, key: [0, best.room, place], devices: [best.spec.index] };
    }
    const count = Math.ceil(gpu.count);
    if (free.length < count) return undefined;
    const states = free.map(({ spec }) => ({ spec, kind: 0, holdings: [], foreign: undefined, room: 1 }));
    const devices = chooseWhole(states, count).map((device) => device.spec.index);
    return { node, key: [1, free.length, place], devices: devices.sort((a, b) => a - b) };
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
