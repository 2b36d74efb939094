import os from 'node:os';
import path from 'node:path';
import { expandHome } from './home';

/** The user's node pools file: `named` (a setting or an environment variable), or SkyPilot's own. */
export function poolsFile(named = ''): string {
  const file = named.trim() || process.env.CLUSTER_QUEUE_NODE_POOLS?.trim() || '';
  return file === ''
    ? path.join(os.homedir(), '.sky', 'ssh_node_pools.yaml')
    : path.resolve(expandHome(file));
}
