import * as vscode from 'vscode';
import { cancelWords } from './jobs';
import { targets, type Command } from './context';

/** Cancels a group whole, after a question. */
export const cancelGroup: Command = {
  id: 'cancelGroup',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster, id } of targets(context, 'group', args)) {
      const group = queue.view(cluster)?.groups?.find((one) => one.id === id);
      if (!group || group.pending + group.running === 0) continue;
      const yes = cancelWords(group.pending + group.running);
      const answer = await vscode.window.showWarningMessage(
        vscode.l10n.t('Cancel all jobs of this group on {0}?', cluster),
        { modal: true },
        yes,
      );
      if (answer === yes) await queue.cancel(cluster, { group: id });
    }
  },
};

function hold(held: boolean): Command['run'] {
  return async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster, id } of targets(context, 'group', args))
      await queue.reorder(cluster, { group: id }, { held });
  };
}

export const holdGroup: Command = { id: 'holdGroup', run: hold(true) };
export const releaseGroup: Command = { id: 'releaseGroup', run: hold(false) };
