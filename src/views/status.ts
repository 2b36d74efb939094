import * as vscode from 'vscode';
import { queueWords, unattendedWords } from '../queue';
import type { WindowQueue } from '../window';

/** The status bar's word on the queue: what runs and what waits; a click opens the view. */
export function showStatus(window: WindowQueue): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('clusterQueue.status', vscode.StatusBarAlignment.Left);
  item.name = 'Cluster Queue';
  item.command = 'clusterQueue.queue.focus';
  const subscription = window.onDidChange(() => {
    const views = window.queue?.views() ?? [];
    const running = views.reduce((sum, view) => sum + view.running, 0);
    const pending = views.reduce((sum, view) => sum + view.pending, 0);
    if (running + pending === 0) {
      item.hide();
      return;
    }
    item.text = `$(server-process) ${queueWords(running, pending)}`;
    const staged = views.reduce((sum, view) => sum + view.staged, 0);
    item.tooltip = [
      vscode.l10n.t('Jobs of the Cluster Queue'),
      ...unattendedWords(staged, pending - staged),
    ].join('\n');
    item.show();
  });
  return vscode.Disposable.from(item, subscription);
}
