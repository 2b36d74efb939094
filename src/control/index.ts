import type { Queue, QueueOptions } from './queue';
import { SharedQueue } from './sharedQueue';

/**
 * Opens the user's one queue: hosts its engine if nobody does, or becomes a client of the process that does, and takes over
 * when that one goes.
 * @throws QueueError `version` when the other process is of another version, `unreachable` when it does not answer;
 * StoreError when the store cannot be opened
 */
export function openQueue(options: QueueOptions): Promise<Queue> {
  return SharedQueue.open(options);
}

export { launch, type Launched, type LaunchRequest, type LaunchWatcher } from './launch';
export { expandHome, stateFolder, userName } from './home';
export { VERSION } from './version';
export { nodesOf } from './nodes';
export type { Queue, QueueLog, QueueOptions, QueueRole } from './queue';
