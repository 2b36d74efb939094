import { addClusterCommand } from './addCluster';
import { openRemote, openTerminal, refresh, removeCluster, showExtensionLog } from './clusters';
import type { Command } from './context';
import { execCommand, execManyCommand, execWithCommand } from './exec';
import { forgetPasswords } from './forgetPasswords';
import { cancelGroup, holdGroup, releaseGroup } from './groups';
import { resumeAtBoot } from './atBoot';
import { showArchived } from './archive';
import { fetchOutputs } from './fetch';
import { cancelAll, cancelJob, copyId, openLogFile, runAgain, showLog, showOlder } from './jobs';
import { installCqCommand } from './installCq';
import { launchCommand, retryLaunch } from './launch';
import { addNode, drainNode, removeNode, undrainNode } from './nodes';
import { editNodePools } from './nodePools';
import { hold, moveUp, release, runNext, setPriority } from './order';

/** Every command of the extension. */
export const commands: readonly Command[] = [
  execCommand,
  execWithCommand,
  execManyCommand,
  launchCommand,
  retryLaunch,
  addClusterCommand,
  removeCluster,
  resumeAtBoot,
  refresh,
  showExtensionLog,
  openTerminal,
  openRemote,
  cancelAll,
  cancelJob,
  cancelGroup,
  holdGroup,
  releaseGroup,
  showLog,
  openLogFile,
  fetchOutputs,
  runAgain,
  copyId,
  showOlder,
  showArchived,
  moveUp,
  runNext,
  hold,
  release,
  setPriority,
  installCqCommand,
  editNodePools,
  forgetPasswords,
  addNode,
  removeNode,
  drainNode,
  undrainNode,
];
