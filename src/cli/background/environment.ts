import path from 'node:path';
import { expandHome } from '../../control';

/** What names the user's files to `cq`, as it is set here, with paths that hold in any folder. */
export function absolutePaths(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ['CLUSTER_QUEUE_HOME', 'CLUSTER_QUEUE_SSH_CONFIG', 'XDG_STATE_HOME']) {
    const value = process.env[name];
    if (value !== undefined && value !== '') found[name] = path.resolve(expandHome(value));
  }
  return found;
}
