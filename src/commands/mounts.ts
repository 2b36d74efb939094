import * as vscode from 'vscode';
import type { Queue } from '../control';
import { staleMountsOf, staleWords } from '../control/mounts';
import type { Task } from '../task';
import { originOf } from './taskFile';

/**
 * Says which `file_mounts` are not on the nodes as they are now, and offers to place them before the task runs. False: the
 * user does not want to run it.
 */
export async function tendMounts(
  queue: Queue,
  cluster: string,
  task: Task,
  document: vscode.TextDocument,
): Promise<boolean> {
  const stale = await staleMountsOf(queue, cluster, task, originOf(document));
  if (stale.length === 0) return true;
  const sync = vscode.l10n.t('Sync and Run');
  const asItIs = vscode.l10n.t('Run as Is');
  const answer = await vscode.window.showInformationMessage(
    vscode.l10n.t('Place file_mounts on {0} first?', cluster),
    {
      modal: true,
      detail: vscode.l10n.t(
        '{0}.\nExec copies the workdir, but leaves file_mounts as they were placed last.',
        staleWords(stale),
      ),
    },
    sync,
    asItIs,
  );
  if (answer !== sync) return answer === asItIs;
  await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t('Placing file_mounts on {0}', cluster),
    },
    async (progress) => {
      for (const { source, destination } of stale) {
        progress.report({ message: destination });
        await queue.mount(cluster, { source, destination }, { missing: true });
      }
    },
  );
  return true;
}
