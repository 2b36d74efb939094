import type { NodeDefinition } from '../cluster';

/** One machine under two names. */
export interface Twin {
  /** The name that is used: it is before the other in the cluster. */
  readonly first: string;
}

/**
 * Nodes of a cluster that are a machine which it has under a name before them; `machines` has, by node, what only that
 * machine says of itself. Names that share a machine by its GPUs (`limits.devices`) have nothing in common to count twice.
 */
export function twinsOf(
  nodes: readonly NodeDefinition[],
  machines: ReadonlyMap<string, string>,
): ReadonlyMap<string, Twin> {
  const twins = new Map<string, Twin>();
  const met: { readonly node: NodeDefinition; readonly machine: string }[] = [];
  for (const node of nodes) {
    const machine = machines.get(node.name);
    if (machine === undefined) continue;
    const first = met.find((other) => other.machine === machine && !divided(other.node, node));
    if (first) twins.set(node.name, { first: first.node.name });
    else met.push({ node, machine });
  }
  return twins;
}

/** Why a node is not used that is another one of its cluster; to be read after its name. */
export function twinWords({ first }: Twin): string {
  return `is the same machine as ${first}, which counts once: leave out this name`;
}

function divided(one: NodeDefinition, other: NodeDefinition): boolean {
  const leases = one.inventory?.devices.map(({ lease }) => lease) ?? [];
  const others = other.inventory?.devices.map(({ lease }) => lease) ?? [];
  return leases.length > 0 && others.length > 0 && !leases.some((lease) => others.includes(lease));
}
