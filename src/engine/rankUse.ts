import type { NodeInventory } from '../cluster';
import type { RankUse } from '../node';
import { compileNeed, type JobDemand, type Placement } from '../queue';

/** What a rank takes of its node, for the node's books. */
export function rankUse(demand: JobDemand, { ranks, alternative }: Placement, rank: number): RankUse {
  const { cpus, memory, units } = compileNeed(demand.alternatives[alternative] ?? { cpus: 0, memoryMiB: 0 });
  return { cpus, kib: memory, units, devices: ranks[rank]?.devices ?? [], alternative };
}

/**
 * The leases that a rank holds on its node: those of its devices, each `s:…` where the job takes a part of one and lets
 * others in. None while it is not known what the node has.
 */
export function rankLeases(
  demand: JobDemand,
  { ranks, alternative }: Placement,
  rank: number,
  inventory: NodeInventory | undefined,
): string[] {
  const placed = ranks[rank];
  const count = demand.alternatives[alternative]?.gpu?.count ?? 0;
  if (!placed || !inventory) return [];
  return placed.devices.map((index) => {
    const lease = inventory.devices.find((device) => device.index === index)?.lease ?? `unknown-${index}`;
    return count < 1 ? `s:${lease}` : lease;
  });
}
