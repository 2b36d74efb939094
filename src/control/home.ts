import os from 'node:os';
import path from 'node:path';
// The one file, not the room: `cq` starts without the engine.
import { expandHome } from '../engine/localPath';

export { expandHome };

/** The state folder: `CLUSTER_QUEUE_HOME`, or where this system keeps the state of programs. */
export function stateFolder(): string {
  const named = process.env.CLUSTER_QUEUE_HOME;
  if (named !== undefined && named !== '') return path.resolve(expandHome(named));
  const home = os.homedir();
  if (process.platform === 'darwin')
    return path.join(home, 'Library', 'Application Support', 'cluster-queue');
  if (process.platform === 'win32')
    return path.join(process.env.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'), 'cluster-queue');
  return path.join(process.env.XDG_STATE_HOME ?? path.join(home, '.local', 'state'), 'cluster-queue');
}

/** Name of the user of this machine, as the USER column shows it. */
export function userName(): string {
  return os.userInfo().username;
}
