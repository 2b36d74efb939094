import * as vscode from 'vscode';
import type { Problem } from '../task';
import { rangeOf } from './convert';
import type { TaskDocuments } from './taskDocuments';

/** Milliseconds without a keystroke before a file is checked again. */
const QUIET = 150;
const SEVERITY: Readonly<Record<Problem['severity'], vscode.DiagnosticSeverity>> = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
};

/** Keeps the problems of open task files in the editor: on open, a while after a change, until closed. */
export class TaskDiagnostics implements vscode.Disposable {
  private readonly collection = vscode.languages.createDiagnosticCollection('cluster-queue');
  private readonly waiting = new Map<string, NodeJS.Timeout>();
  private readonly checked = new vscode.EventEmitter<void>();
  private readonly subscriptions: vscode.Disposable[];

  /** A file was checked, or is no task any more. */
  readonly onDidCheck = this.checked.event;

  constructor(private readonly documents: TaskDocuments) {
    const { workspace } = vscode;
    this.subscriptions = [
      workspace.onDidOpenTextDocument((document) => this.check(document)),
      workspace.onDidChangeTextDocument(({ document }) => this.checkSoon(document)),
      workspace.onDidCloseTextDocument((document) => this.forget(document)),
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('clusterQueue.taskFiles')) this.checkAll();
      }),
    ];
    this.checkAll();
  }

  private checkAll(): void {
    for (const document of vscode.workspace.textDocuments) this.check(document);
  }

  private checkSoon(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.waiting.get(key));
    this.waiting.set(
      key,
      setTimeout(() => this.check(document), QUIET),
    );
  }

  private check(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.waiting.get(key));
    this.waiting.delete(key);
    if (document.isClosed || !isShown(document)) return;
    if (this.documents.isTask(document)) {
      const { problems } = this.documents.read(document);
      this.collection.set(
        document.uri,
        problems.map((problem) => diagnosticOf(document, problem)),
      );
    } else this.collection.delete(document.uri);
    this.checked.fire();
  }

  private forget(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.waiting.get(key));
    this.waiting.delete(key);
    this.collection.delete(document.uri);
    this.checked.fire();
  }

  dispose(): void {
    for (const timer of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
    vscode.Disposable.from(...this.subscriptions, this.collection, this.checked).dispose();
  }
}

/** Not the sides of a comparison with an older version, nor what an extension made up. */
function isShown({ uri }: vscode.TextDocument): boolean {
  return uri.scheme === 'file' || uri.scheme === 'untitled' || uri.scheme === 'vscode-remote';
}

function diagnosticOf(document: vscode.TextDocument, problem: Problem): vscode.Diagnostic {
  const diagnostic = new vscode.Diagnostic(
    rangeOf(document, problem),
    problem.message,
    SEVERITY[problem.severity],
  );
  diagnostic.source = 'Cluster Queue';
  diagnostic.code = problem.code;
  if (problem.noEffect) diagnostic.tags = [vscode.DiagnosticTag.Unnecessary];
  return diagnostic;
}
