import * as vscode from 'vscode';
import type { Reorder } from '../engine';
import { targets, type Command } from './context';

/** Changes the place of the waiting jobs a command was called on. */
function reorder(change: Reorder): Command['run'] {
  return async (context, ...args) => {
    const queue = await context.window.open();
    // The last one goes first, so that several keep their order.
    for (const job of targets(context, 'job', args).reverse())
      await queue.reorder(job.cluster, job.id, change);
  };
}

export const moveUp: Command = { id: 'moveUp', run: reorder({ move: 'up' }) };
export const runNext: Command = { id: 'runNext', run: reorder({ move: 'first' }) };
export const hold: Command = { id: 'hold', run: reorder({ held: true }) };
export const release: Command = { id: 'release', run: reorder({ held: false }) };

export const setPriority: Command = {
  id: 'setPriority',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const jobs = targets(context, 'job', args);
    const [first] = jobs;
    if (!first) return;
    const flaw = vscode.l10n.t('Write a whole number from -1000 to 1000.');
    const text = await vscode.window.showInputBox({
      title: vscode.l10n.t('Priority'),
      prompt: vscode.l10n.t('A whole number from -1000 to 1000; higher starts first.'),
      value: String(queue.job(first.cluster, first.id).record.priority),
      validateInput: (value) =>
        /^-?\d{1,4}$/.test(value) && Math.abs(Number(value)) <= 1000 ? undefined : flaw,
    });
    if (text === undefined) return;
    for (const { cluster, id } of jobs) await queue.reorder(cluster, id, { priority: Number(text) });
  },
};
