import type { NodeDefinition } from '../cluster';
import { configuredHosts, parseDestination } from '../transport';
import { readSettings } from './settings';

/** Hosts that the user's ssh config names, in its order. */
export function sshHosts(): Promise<string[]> {
  return configuredHosts(readSettings().sshConfigFile);
}

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
