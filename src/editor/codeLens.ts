import * as vscode from 'vscode';
import { rangeOf } from './convert';
import type { TaskDocuments } from './taskDocuments';

/** What a code lens needs of the queue. */
export interface JobsOfFiles {
  /** What became of the newest job of a file, in a few words; undefined when it had none. */
  readonly jobStatusOfFile: (fsPath: string) => string | undefined;
  /** A job changed its status. */
  readonly onDidChangeJobs: vscode.Event<void>;
}

/** Above a task: run it, and what became of its newest job. */
export class TaskCodeLenses implements vscode.CodeLensProvider {
  readonly onDidChangeCodeLenses: vscode.Event<void>;

  constructor(
    private readonly documents: TaskDocuments,
    private readonly jobs: JobsOfFiles,
  ) {
    this.onDidChangeCodeLenses = jobs.onDidChangeJobs;
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (!this.documents.isTask(document)) return [];
    const range = rangeOf(document, firstField(document.getText()));
    const run = {
      title: `$(play)\u00a0${vscode.l10n.t('Exec on Cluster…')}`,
      tooltip: vscode.l10n.t('Queue this task on a cluster of yours'),
      command: 'clusterQueue.exec',
      arguments: [document.uri],
    };
    const launch = {
      title: `$(rocket)\u00a0${vscode.l10n.t('Launch Cluster…')}`,
      tooltip: vscode.l10n.t('Make a cluster of hosts that fit, set them up, and queue this task there'),
      command: 'clusterQueue.launch',
      arguments: [document.uri],
    };
    const status = document.isUntitled ? undefined : this.jobs.jobStatusOfFile(document.uri.fsPath);
    const lenses = [run, launch].map((command) => new vscode.CodeLens(range, command));
    if (status !== undefined) {
      const show = { title: status, command: 'clusterQueue.queue.focus' };
      lenses.push(new vscode.CodeLens(range, show));
    }
    return lenses;
  }
}

/** The first line that is no comment, so that the lens stands above the task and not above a licence. */
function firstField(text: string): { start: number; end: number } {
  const match = /^[^\s#-].*$/m.exec(text);
  return match ? { start: match.index, end: match.index + match[0].length } : { start: 0, end: 0 };
}
