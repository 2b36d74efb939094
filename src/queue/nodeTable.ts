import { gpuMemoryMatches, gpuNameMatches, isSlice } from '../cluster/gpuNames';
import type { GpuDemand } from './job';
import { wantsNoSlices, type Need } from './demand';
import { chooseWhole, updateRoom } from './node';
import type {
  DeviceState,
  Holding,
  NodeAvailability,
  NodeState,
  SchedulerDevice,
  SchedulerNode,
} from './node';
import { Buckets, type NodeSet } from './nodeSet';
import { cpuUnits, memoryUnits, WHOLE } from './units';

/**
 * True when the device has the name and memory asked for, free or not. Several GPUs of any name are never MIG slices: a
 * CUDA process sees only one of those, so whoever wants more than one asks for them by name.
 */
export function deviceAccepts(gpu: GpuDemand | undefined, device: SchedulerDevice): boolean {
  if (gpu && wantsNoSlices(gpu) && isSlice(device.name)) return false;
  if (gpu?.name !== undefined && !gpuNameMatches(gpu.name, device.name, device.memoryMiB)) return false;
  return gpu?.memoryMiB === undefined || gpuMemoryMatches(gpu.memoryMiB, device.memoryMiB);
}

/** The same for many devices: compares names once for each kind of device. */
export function acceptor(gpu: GpuDemand | undefined): (device: DeviceState) => boolean {
  const byKind: (boolean | undefined)[] = [];
  return ({ kind, spec }) => (byKind[kind] ??= deviceAccepts(gpu, spec));
}

/** A node chosen for a rank; with `share`, the rank goes onto a device in use that has exactly so much room. */
export interface NodePick {
  readonly node: NodeState;
  readonly share?: number;
}

/** The nodes that are up, indexed by what they have free for one set of devices. */
interface Filter {
  readonly gpu: GpuDemand | undefined;
  /** By device kind. */
  readonly accepts: boolean[];
  /** Nodes by the number of their wholly free devices. */
  readonly whole: Buckets;
  /** Nodes by the room on their devices that are shared now. */
  readonly shared: Buckets;
  /** Where each node stands in `whole` and `shared`, by ordinal; undefined while it is not up. */
  readonly standing: ({ readonly whole: number; readonly shares: readonly number[] } | undefined)[];
}

const NO_SHARES: readonly number[] = [];

/** All nodes of a cluster, and the indices that find the best fit among them. */
export class NodeTable {
  private readonly byId = new Map<string, NodeState>();
  /** A node that is removed and comes back has its old place, so that ties are broken as before. */
  private readonly ordinals = new Map<string, number>();
  private readonly byOrdinal: (NodeState | undefined)[] = [];
  private readonly filters = new Map<string, Filter>();
  private readonly kinds = new Map<string, number>();
  private readonly kindSamples: SchedulerDevice[] = [];
  /** What jobs hold of nodes not in the table: a job may be adopted before its node is known, or outlive its removal. */
  private readonly absent = new Map<string, Set<Holding>>();
  /** The most that any node of 32 has free (by ordinal / 32); lets a search skip those whose CPUs are all taken. */
  private readonly mostCpus: number[] = [];
  private readonly mostMemory: number[] = [];

  get(id: string): NodeState | undefined {
    return this.byId.get(id);
  }

  /** In the order in which they were first added. */
  *all(): Iterable<NodeState> {
    for (const node of this.byOrdinal) if (node) yield node;
  }

  get size(): number {
    return this.byId.size;
  }

  /** Adds a node or replaces its inventory; state and foreign devices stay as they were. */
  set(spec: SchedulerNode): NodeState {
    const old = this.byId.get(spec.id);
    let ordinal = this.ordinals.get(spec.id);
    if (ordinal === undefined) {
      ordinal = this.ordinals.size;
      this.ordinals.set(spec.id, ordinal);
    }
    const foreign = new Map(old?.devices.map((device) => [device.spec.index, device.foreign]));
    const devices: DeviceState[] = spec.devices.map((device) => ({
      spec: device,
      kind: this.kindOf(device),
      holdings: [],
      foreign: foreign.get(device.index),
      room: 0,
    }));
    const node = old ?? {
      ordinal,
      spec,
      availability: 'up',
      devices,
      holdings: this.takeAbsent(spec.id),
      cpus: 0,
      memory: 0,
    };
    node.spec = spec;
    node.devices = devices;
    node.cpus = cpuUnits(spec.cpus);
    node.memory = memoryUnits(spec.memoryMiB);
    this.byId.set(spec.id, node);
    this.byOrdinal[ordinal] = node;
    for (const holding of node.holdings) {
      node.cpus -= holding.cpus;
      node.memory -= holding.memory;
      for (const device of devices) {
        if (holding.devices.includes(device.spec.index)) device.holdings.push(holding);
      }
    }
    devices.forEach(updateRoom);
    this.reindex(node);
    return node;
  }

  delete(node: NodeState): void {
    node.availability = 'down';
    this.reindex(node);
    this.byId.delete(node.spec.id);
    if (node.holdings.size > 0) this.absent.set(node.spec.id, node.holdings);
    this.byOrdinal[node.ordinal] = undefined;
  }

  setAvailability(node: NodeState, availability: NodeAvailability): void {
    node.availability = availability;
    this.reindex(node);
  }

  /** Marks a device as used outside the queue, or no longer so. */
  setForeign(node: NodeState, device: DeviceState, by: string | undefined): void {
    device.foreign = by;
    updateRoom(device);
    this.reindex(node);
  }

  /** Takes what a rank holds from its node. */
  take(holding: Holding): void {
    const node = this.byId.get(holding.node);
    if (node) {
      node.holdings.add(holding);
      this.apply(node, holding, 1);
      return;
    }
    const absent = this.absent.get(holding.node);
    if (absent) absent.add(holding);
    else this.absent.set(holding.node, new Set([holding]));
  }

  /** Gives it back; returns the node, when it is in the table. */
  give(holding: Holding): NodeState | undefined {
    const node = this.byId.get(holding.node);
    if (node) {
      node.holdings.delete(holding);
      this.apply(node, holding, -1);
      return node;
    }
    const absent = this.absent.get(holding.node);
    absent?.delete(holding);
    if (absent?.size === 0) this.absent.delete(holding.node);
    return undefined;
  }

  /** True when one rank with this need could start on the node now. */
  hosts(node: NodeState, need: Need): boolean {
    if (node.cpus < need.cpus || node.memory < need.memory) return false;
    const standing = this.filterOf(need).standing[node.ordinal];
    if (!standing) return false;
    return (
      standing.whole >= need.devices || (need.units < WHOLE && standing.shares.some((s) => s >= need.units))
    );
  }

  /** True when some node has the devices; CPUs and memory are not looked at. */
  anyHosts(need: Need): boolean {
    const filter = this.filterOf(need);
    return (
      filter.whole.countFrom(need.devices, 1) > 0 ||
      (isFraction(need) && filter.shared.countFrom(need.units, 1) > 0)
    );
  }

  /**
   * The best `count` distinct nodes for a need: a shared device that it fills the most, then nodes with the fewest
   * free devices, then the first added. Undefined when there are not so many.
   */
  find(need: Need, count: number): NodePick[] | undefined {
    const filter = this.filterOf(need);
    const fraction = isFraction(need);
    const enough = filter.whole.countFrom(need.devices, count);
    if (
      enough < count &&
      !(fraction && enough + filter.shared.countFrom(need.units, count - enough) >= count)
    ) {
      return undefined;
    }
    const picks: NodePick[] = [];
    if (fraction) {
      for (let i = filter.shared.firstFrom(need.units); i < filter.shared.keys.length; i++) {
        const share = filter.shared.keys[i] ?? 0;
        if (this.collect(filter.shared.get(share), need, count, picks, share)) return picks;
      }
    }
    for (let i = filter.whole.firstFrom(need.devices); i < filter.whole.keys.length; i++) {
      if (this.collect(filter.whole.get(filter.whole.keys[i] ?? 0), need, count, picks)) return picks;
    }
    return undefined;
  }

  /** The devices that a rank gets of a node that `find` picked; indices ascending. */
  choose(pick: NodePick, need: Need): number[] {
    if (need.units === 0) return [];
    const filter = this.filterOf(need);
    const wanted = pick.share ?? WHOLE;
    const fitting = pick.node.devices.filter(
      (device) => device.room === wanted && filter.accepts[device.kind],
    );
    const chosen = pick.share === undefined ? chooseWhole(fitting, need.devices) : fitting.slice(0, 1);
    return chosen.map((device) => device.spec.index).sort((a, b) => a - b);
  }

  /** Adds fitting nodes of the set to the picks; true when there are enough. */
  private collect(
    set: NodeSet | undefined,
    need: Need,
    count: number,
    picks: NodePick[],
    share?: number,
  ): boolean {
    const words = set?.words ?? [];
    for (let w = 0; w < words.length; w++) {
      let bits = words[w] ?? 0;
      if (bits === 0) continue;
      if ((this.mostCpus[w] ?? 0) < need.cpus || (this.mostMemory[w] ?? 0) < need.memory) continue;
      while (bits !== 0) {
        const lowest = bits & -bits;
        bits ^= lowest;
        const node = this.byOrdinal[(w << 5) + 31 - Math.clz32(lowest)];
        if (!node || node.cpus < need.cpus || node.memory < need.memory) continue;
        // A fraction finds a node once for each of its shared devices and once for its free ones.
        if (isFraction(need) && picks.some((pick) => pick.node === node)) continue;
        picks.push(share === undefined ? { node } : { node, share });
        if (picks.length === count) return true;
      }
    }
    return false;
  }

  private apply(node: NodeState, holding: Holding, sign: 1 | -1): void {
    node.cpus -= sign * holding.cpus;
    node.memory -= sign * holding.memory;
    const kinds: number[] = [];
    for (const index of holding.devices) {
      // Devices mostly stand where their index says.
      const likely = node.devices[index];
      const device =
        likely?.spec.index === index ? likely : node.devices.find((other) => other.spec.index === index);
      if (!device) continue;
      if (sign === 1) device.holdings.push(holding);
      else device.holdings.splice(device.holdings.indexOf(holding), 1);
      updateRoom(device);
      if (!kinds.includes(device.kind)) kinds.push(device.kind);
    }
    if (kinds.length > 0) {
      for (const filter of this.filters.values()) {
        if (kinds.some((kind) => filter.accepts[kind])) this.place(filter, node);
      }
    }
    this.summarise(node);
  }

  private takeAbsent(id: string): Set<Holding> {
    const holdings = this.absent.get(id) ?? new Set();
    this.absent.delete(id);
    return holdings;
  }

  private filterOf(need: Need): Filter {
    let filter = this.filters.get(need.gpuKey);
    if (!filter) {
      const gpu = need.gpu;
      filter = { gpu, accepts: [], whole: new Buckets(), shared: new Buckets(), standing: [] };
      for (const sample of this.kindSamples) filter.accepts.push(deviceAccepts(gpu, sample));
      this.filters.set(need.gpuKey, filter);
      for (const node of this.all()) this.place(filter, node);
    }
    return filter;
  }

  private kindOf(device: SchedulerDevice): number {
    const key = `${device.name.toLowerCase()}/${device.memoryMiB ?? ''}`;
    let kind = this.kinds.get(key);
    if (kind === undefined) {
      kind = this.kinds.size;
      this.kinds.set(key, kind);
      this.kindSamples.push(device);
      for (const filter of this.filters.values()) filter.accepts.push(deviceAccepts(filter.gpu, device));
    }
    return kind;
  }

  private reindex(node: NodeState): void {
    for (const filter of this.filters.values()) this.place(filter, node);
    this.summarise(node);
  }

  private place(filter: Filter, node: NodeState): void {
    const { ordinal } = node;
    let whole = 0;
    let shares = NO_SHARES;
    for (const device of node.devices) {
      if (!filter.accepts[device.kind]) continue;
      if (device.room === WHOLE) whole++;
      else if (device.room > 0 && !shares.includes(device.room)) shares = [...shares, device.room];
    }
    const old = filter.standing[ordinal];
    const up = node.availability === 'up';
    if (old && up && old.whole === whole && old.shares === NO_SHARES && shares === NO_SHARES) return;
    if (old) {
      filter.whole.drop(old.whole, ordinal);
      for (const share of old.shares) filter.shared.drop(share, ordinal);
    }
    filter.standing[ordinal] = up ? { whole, shares } : undefined;
    if (!up) return;
    filter.whole.put(whole, ordinal);
    for (const share of shares) filter.shared.put(share, ordinal);
  }

  private summarise(node: NodeState): void {
    const word = node.ordinal >>> 5;
    let cpus = 0;
    let memory = 0;
    for (let ordinal = word << 5; ordinal < (word + 1) << 5; ordinal++) {
      const other = this.byOrdinal[ordinal];
      if (other?.availability !== 'up') continue;
      if (other.cpus > cpus) cpus = other.cpus;
      if (other.memory > memory) memory = other.memory;
    }
    this.mostCpus[word] = cpus;
    this.mostMemory[word] = memory;
  }
}

function isFraction(need: Need): boolean {
  return need.units > 0 && need.units < WHOLE;
}
