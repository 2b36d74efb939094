import path from 'node:path';
import { parse } from 'unbash';
import * as vscode from 'vscode';
import { shellProblems, type KnownGpus, type Problem } from '../task';
import { rangeOf } from './convert';
import { pathProblems } from './paths';
import type { TaskDocuments } from './taskDocuments';
import { gpuProblems } from './worldCheck';

/** Milliseconds without a keystroke before a file is checked again. */
const QUIET = 150;
const SEVERITY: Readonly<Record<Problem['severity'], vscode.DiagnosticSeverity>> = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
};

/** What a task file is held against. */
export interface World {
  /** GPUs of all known clusters, by name; asked at each check and completion, so it must be quick. */
  readonly knownGpus: () => readonly KnownGpus[];
  /** Clusters come and go with the same event. */
  readonly onDidChangeJobs: vscode.Event<void>;
}

/** Keeps the problems of open task files in the editor: on open, a while after a change, until closed. */
export class TaskDiagnostics implements vscode.Disposable {
  private readonly collection = vscode.languages.createDiagnosticCollection('cluster-queue');
  private readonly waiting = new Map<string, NodeJS.Timeout>();
  private readonly checked = new vscode.EventEmitter<void>();
  private readonly subscriptions: vscode.Disposable[];

  /** A file was checked, or is no task any more. */
  readonly onDidCheck = this.checked.event;

  private toldGpus = '';
  private disposed = false;

  constructor(
    private readonly documents: TaskDocuments,
    private readonly world: World,
  ) {
    const { workspace } = vscode;
    this.subscriptions = [
      world.onDidChangeJobs(() => this.checkIfGpusChanged()),
      workspace.onDidSaveTextDocument((document) => this.check(document)),
      workspace.onDidOpenTextDocument((document) => this.check(document)),
      // Paths that were missing may be there now, and the other way round.
      vscode.window.onDidChangeActiveTextEditor((editor) => editor && this.check(editor.document)),
      workspace.onDidCreateFiles(() => this.checkAll()),
      workspace.onDidDeleteFiles(() => this.checkAll()),
      workspace.onDidRenameFiles(() => this.checkAll()),
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

  /** Jobs come and go all the time; what the clusters have does not. */
  private checkIfGpusChanged(): void {
    const now = this.world.knownGpus().map(({ name, total, mostOnNode }) => `${name}:${mostOnNode ?? total}`);
    if (now.join() === this.toldGpus) return;
    this.toldGpus = now.join();
    this.checkAll();
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
    if (this.documents.isTask(document)) this.show(document);
    else this.collection.delete(document.uri);
    this.checked.fire();
  }

  private show(document: vscode.TextDocument): void {
    const { uri, version } = document;
    const problems = this.problemsOf(document);
    const set = (all: readonly Problem[]) =>
      this.collection.set(
        uri,
        all.map((problem) => diagnosticOf(document, problem)),
      );
    set(problems);
    if (uri.scheme === 'untitled') return;
    const workspace = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
    const folders = [path.dirname(uri.fsPath), ...(workspace === undefined ? [] : [workspace])];
    void pathProblems(document.getText(), folders).then((missing) => {
      // The disk answers late: only for the text that was asked about.
      if (missing.length > 0 && !document.isClosed && document.version === version && !this.disposed) {
        set([...problems, ...missing]);
      }
    });
  }

  /** What is wrong in a document as it stands, but for paths, which only the disk knows. */
  problemsOf(document: vscode.TextDocument): readonly Problem[] {
    const text = document.getText();
    return [
      ...this.documents.read(document).problems,
      ...gpuProblems(text, this.world.knownGpus()),
      ...shellProblems(text, parse),
    ];
  }

  private forget(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.waiting.get(key));
    this.waiting.delete(key);
    this.collection.delete(document.uri);
    this.checked.fire();
  }

  dispose(): void {
    this.disposed = true;
    for (const timer of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
    vscode.Disposable.from(...this.subscriptions, this.collection, this.checked).dispose();
  }
}

/** Not the sides of a comparison with an older version, nor what an extension made up. */
function isShown({ uri }: vscode.TextDocument): boolean {
  return uri.scheme === 'file' || uri.scheme === 'untitled' || uri.scheme === 'vscode-remote';
}

/** A problem as the editor shows it. */
export function diagnosticOf(document: vscode.TextDocument, problem: Problem): vscode.Diagnostic {
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
