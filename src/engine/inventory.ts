import {
  canonicalGpuName,
  gpuOfDevice,
  isSlice,
  leaseOf,
  sliceIndex,
  type DeviceInventory,
  type NodeDefinition,
  type NodeInventory,
} from '../cluster';
import { gpuNameMatches } from '../cluster/gpuNames';
import type { NodeFacts } from '../node';

const VIRTUAL = 'virtual-';
// What the tools say, failing, on a machine with their driver (AMD's: without it) and no GPU; or where the last has gone.
const NONE = /No devices were found|amdgpu not found in modules|Unable to detect any GPU|No AMD GPU/i;

/** What a node has for jobs, of what its probe found; `nodeId` is the node's own name for itself. */
export function inventoryOf(node: NodeDefinition, facts: NodeFacts, nodeId: string): NodeInventory {
  const { limits } = node;
  return {
    cpus: limits?.cpus ?? facts.cpus,
    memoryMiB: limits?.memoryMiB ?? facts.memoryMiB,
    ip: facts.ip,
    devices: allowed(node, devicesOf(node, facts, nodeId)),
  };
}

/**
 * The words of nvidia-smi, or of AMD's tools, where they fail and the node has GPUs all the same: it had some, or is said to have some. What is said
 * counts for nothing then: under other leases, a device could be given twice.
 */
export function gpuTrouble({ virtual, inventory }: NodeDefinition, facts: NodeFacts): string | undefined {
  if (facts.trouble === undefined || facts.gpus.length > 0) return undefined;
  const had = inventory?.devices.some(({ lease }) => !lease.startsWith(VIRTUAL)) === true;
  const fails = !NONE.test(facts.trouble);
  return had || (virtual !== undefined && fails) ? facts.trouble : undefined;
}

/** The declared GPUs count only where none are found. */
function devicesOf({ virtual }: NodeDefinition, facts: NodeFacts, nodeId: string): DeviceInventory[] {
  if (virtual && facts.gpus.length === 0) {
    return Array.from({ length: virtual.count }, (_, index) => ({
      index,
      name: virtual.name,
      lease: `${VIRTUAL}${nodeId}-${index}`,
    }));
  }
  return facts.gpus.map(({ index, slice, uuid, name, memoryMiB, ofMiB = memoryMiB }) => ({
    index: slice === undefined ? index : sliceIndex(index, slice),
    name: canonicalGpuName(name, ofMiB),
    lease: leaseOf(uuid),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
  }));
}

/** The devices that jobs may use, in the order of their owner's preference. */
function allowed({ limits }: NodeDefinition, found: readonly DeviceInventory[]): DeviceInventory[] {
  const { devices, gpus } = limits ?? {};
  const chosen = devices
    ? devices.flatMap((index) => found.filter((device) => gpuOfDevice(device.index) === index))
    : [...found];
  if (!gpus) return chosen;
  return chosen.slice(0, gpus.count).map((device) => ({
    ...device,
    // The found name says more (`V100-32GB`) where it is a kind of the declared one; and no slice is a whole GPU.
    name:
      isSlice(device.name) || gpuNameMatches(gpus.name, device.name, device.memoryMiB)
        ? device.name
        : gpus.name,
  }));
}
