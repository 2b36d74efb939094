import type { NodeDefinition } from '../cluster';
import { parseDestination } from '../transport/sshOptions';

/** Nodes for destinations as ssh takes them: named by the host alone, unless two would then have one name. */
export function nodesOf(destinations: readonly string[]): NodeDefinition[] {
  const unique = [...new Set(destinations)];
  const hosts = unique.map((destination) => parseDestination(destination).host);
  return unique.map((destination, index) => {
    const host = hosts[index] ?? destination;
    const shared = hosts.filter((other) => other === host).length > 1;
    return { name: shared ? destination : host, destination };
  });
}
