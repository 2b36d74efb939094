import * as vscode from 'vscode';
import type { TaskDocuments } from './taskDocuments';

/**
 * Tells menus which open files are tasks, in the context key `clusterQueue.taskFiles`: a `when` clause cannot look into
 * a file.
 */
export class TaskFilesContext implements vscode.Disposable {
  private told: readonly string[] = [];
  private readonly subscription: vscode.Disposable;

  constructor(
    private readonly documents: TaskDocuments,
    onDidCheck: vscode.Event<void>,
  ) {
    this.subscription = onDidCheck(() => this.tell());
    this.tell();
  }

  private tell(): void {
    const files = vscode.workspace.textDocuments
      .filter((document) => !document.isClosed && this.documents.isTask(document))
      .map(({ uri }) => uri.fsPath)
      .sort();
    if (files.join('\n') === this.told.join('\n')) return;
    this.told = files;
    void vscode.commands.executeCommand('setContext', 'clusterQueue.taskFiles', files);
  }

  dispose(): void {
    this.subscription.dispose();
  }
}
