import type { NodeAvailability, NodeState } from './node';
import { WHOLE } from './units';

/** What is used and free of a device. */
export interface DeviceUsage {
  readonly index: number;
  readonly name: string;
  /** The share a job could get now, 0 to 1; 0 when used outside the queue. */
  readonly free: number;
  /** Ids of the jobs on it, in the order in which they started. */
  readonly jobs: readonly string[];
  /** Who uses it outside this queue: a user with a process of nobody's queue, or in words another queue or cluster. */
  readonly foreign?: string;
}

export interface Amount {
  readonly total: number;
  /** Never negative. */
  readonly free: number;
}

/** What is used and free of a node. */
export interface NodeUsage {
  readonly id: string;
  readonly state: NodeAvailability;
  /** In the node's order of preference. */
  readonly devices: readonly DeviceUsage[];
  /** Logical CPUs. */
  readonly cpus: Amount;
  readonly memoryMiB: Amount;
  /** Ids of all jobs on it, also those without GPU. */
  readonly jobs: readonly string[];
}

/** Sums over a cluster. Free amounts are those of nodes that are up. */
export interface ClusterTotals {
  readonly nodes: { readonly total: number; readonly up: number };
  /** `free` counts shares: two half-used devices are one. */
  readonly gpus: Amount & { readonly foreign: number };
  readonly pending: number;
  readonly running: number;
}

/** Describes a node for a person. */
export function usageOf(node: NodeState): NodeUsage {
  return {
    id: node.spec.id,
    state: node.availability,
    devices: node.devices.map((device) => ({
      index: device.spec.index,
      name: device.spec.name,
      free: device.room / WHOLE,
      jobs: device.holdings.map((holding) => holding.job),
      ...(device.foreign === undefined ? {} : { foreign: device.foreign }),
    })),
    cpus: { total: node.spec.cpus, free: Math.max(0, node.cpus / 1000) },
    memoryMiB: { total: node.spec.memoryMiB, free: Math.max(0, node.memory / 1024) },
    jobs: [...new Set([...node.holdings].map((holding) => holding.job))],
  };
}

/** Adds the nodes up. */
export function totalsOf(
  nodes: Iterable<NodeState>,
  jobs: { readonly pending: number; readonly running: number },
): ClusterTotals {
  let [total, up, gpus, free, foreign] = [0, 0, 0, 0, 0];
  for (const node of nodes) {
    total++;
    if (node.availability === 'up') up++;
    for (const device of node.devices) {
      gpus++;
      if (device.foreign !== undefined) foreign++;
      if (node.availability === 'up') free += device.room;
    }
  }
  return { nodes: { total, up }, gpus: { total: gpus, free: free / WHOLE, foreign }, ...jobs };
}
