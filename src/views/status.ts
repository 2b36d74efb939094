import * as vscode from 'vscode';
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
    item.text = `$(server-process) ${vscode.l10n.t('{0} running, {1} waiting', running, pending)}`;
    const staged = views.reduce((sum, view) => sum + view.staged, 0);
    item.tooltip = [vscode.l10n.t('Jobs of the Cluster Queue'), ...unattended(staged, pending - staged)].join(
      '\n',
    );
    item.show();
  });
  return vscode.Disposable.from(item, subscription);
}

/** What happens when the last window is closed. */
function unattended(staged: number, others: number): string[] {
  if (staged + others === 0) return [];
  const goOn = vscode.l10n.t('{0} waiting on their nodes: they also start when VS Code is closed', staged);
  const wait = vscode.l10n.t(
    '{0} waiting for VS Code: they start only while it is open, or cq engine runs',
    others,
  );
  return [...(staged > 0 ? [goOn] : []), ...(others > 0 ? [wait] : [])];
}
