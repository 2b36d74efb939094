import { compileNeed, wantsGpu, type Need } from './demand';
import type { JobDemand, NodeDemand } from './job';
import type { DeviceState, NodeState } from './node';
import { acceptor, type NodeTable } from './nodeTable';
import { cpuUnits, memoryUnits } from './units';
import { amount, cpuWords, demandWords, gigabytes, gpuWords, list, memoryWords } from './words';

/** True when one rank with this need could start on the node if nothing else were on it. */
export function capable(node: NodeState, need: Need, accepts: (device: DeviceState) => boolean): boolean {
  if (cpuUnits(node.spec.cpus) < need.cpus || memoryUnits(node.spec.memoryMiB) < need.memory) return false;
  return need.units === 0 || node.devices.filter(accepts).length >= need.devices;
}

/** Why a demand can never be met by the nodes of a cluster; undefined when it can. */
export function refuse(table: NodeTable, demand: JobDemand): string | undefined {
  const nodes = [...table.all()];
  const reasons = new Set<string>();
  for (const alternative of demand.alternatives) {
    const reason = refuseAlternative(nodes, alternative, demand.numNodes);
    if (reason === undefined) return undefined;
    reasons.add(reason);
  }
  return [...reasons].join('; or ');
}

function refuseAlternative(
  nodes: readonly NodeState[],
  demand: NodeDemand,
  numNodes: number,
): string | undefined {
  const need = compileNeed(demand);
  const accepts = acceptor(need.gpu);
  const able = nodes.filter((node) => capable(node, need, accepts)).length;
  if (able >= numNodes) return undefined;
  if (nodes.length === 0) return 'needs a node; the cluster has none';
  const where = numNodes === 1 ? 'on one node' : `on each of ${numNodes} nodes`;
  if (wantsGpu(demand)) {
    const most = Math.max(...nodes.map((node) => node.devices.filter(accepts).length));
    if (most === 0) return `needs ${gpuWords(demand.gpu)}; the cluster has ${inventory(nodes)}`;
    if (most < need.devices) return `needs ${gpuWords(demand.gpu)} ${where}; the largest node has ${most}`;
  }
  const cpus = Math.max(...nodes.map((node) => node.spec.cpus));
  if (cpuUnits(cpus) < need.cpus) {
    return `needs ${cpuWords(demand.cpus)} ${where}; the largest node has ${amount(cpus)}`;
  }
  const memory = Math.max(...nodes.map((node) => node.spec.memoryMiB));
  if (memoryUnits(memory) < need.memory) {
    return `needs ${memoryWords(demand.memoryMiB)} ${where}; the largest node has ${gigabytes(memory)}`;
  }
  if (able === 0) return `needs ${demandWords(demand)} ${where}; no node has all of it`;
  const words = wantsGpu(demand) ? gpuWords(demand.gpu) : demandWords(demand);
  return `needs ${numNodes} nodes with ${words} each; the cluster has ${able}`;
}

function inventory(nodes: readonly NodeState[]): string {
  const names = new Set(nodes.flatMap((node) => node.devices.map((device) => device.spec.name)));
  return names.size === 0 ? 'no GPU' : `only ${list([...names], 6)}`;
}
