import type * as vscode from 'vscode';
import { addClusterCommand } from './addCluster';
import { openTerminal, refresh, removeCluster, showExtensionLog } from './clusters';
import { register, type CommandContext } from './context';
import { execCommand, execWithCommand } from './exec';
import { cancelAll, cancelJob, copyId, openLogFile, runAgain, showLog, showOlder } from './jobs';
import { installCqCommand } from './installCq';
import { launchCommand } from './launch';
import { hold, moveUp, release, runNext, setPriority } from './order';

/** Registers every command of the extension. */
export function registerCommands(context: CommandContext): vscode.Disposable {
  return register(context, [
    execCommand,
    execWithCommand,
    launchCommand,
    addClusterCommand,
    removeCluster,
    refresh,
    showExtensionLog,
    openTerminal,
    cancelAll,
    cancelJob,
    showLog,
    openLogFile,
    runAgain,
    copyId,
    showOlder,
    moveUp,
    runNext,
    hold,
    release,
    setPriority,
    installCqCommand,
  ]);
}
