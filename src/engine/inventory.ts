import { canonicalGpuName, type DeviceInventory, type NodeDefinition, type NodeInventory } from '../cluster';
import type { NodeFacts } from '../node';

/** What a node has for jobs, of what its probe found; `nodeId` is the node's own name for itself. */
export function inventoryOf(node: NodeDefinition, facts: NodeFacts, nodeId: string): NodeInventory {
  const { cpus, memoryMiB, ip } = facts;
  return { cpus, memoryMiB, ip, devices: devicesOf(node, facts, nodeId) };
}

/** The declared GPUs count only where none are found. */
function devicesOf({ virtual }: NodeDefinition, facts: NodeFacts, nodeId: string): DeviceInventory[] {
  if (virtual && facts.gpus.length === 0) {
    return Array.from({ length: virtual.count }, (_, index) => ({
      index,
      name: virtual.name,
      lease: `virtual-${nodeId}-${index}`,
    }));
  }
  return facts.gpus.map(({ index, uuid, name, memoryMiB }) => ({
    index,
    name: canonicalGpuName(name, memoryMiB),
    lease: uuid,
    memoryMiB,
  }));
}
