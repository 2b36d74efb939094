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

export {
  launch,
  passedOverWords,
  type Launched,
  type LaunchRequest,
  type LaunchWatcher,
  type PassedOver,
} from './launch';
export { staleMountsOf, staleWords } from './mounts';
export { expandHome, stateFolder, userName } from './home';
export { backgroundFiles, backgroundPid, becomeBackground, findBackground } from './background';
export { VERSION } from './version';
export { addNodes } from './addNodes';
export { nodesOf } from './nodes';
export {
  faultWords,
  nodesOfTask,
  otherPoolWords,
  poolNodes,
  poolsOfTask,
  readPools,
  type NodePools,
} from './pools';
export { poolsFile } from './poolsFile';
export type { Background } from './background';
export type { Queue, QueueLog, QueueOptions, QueueRole } from './queue';
