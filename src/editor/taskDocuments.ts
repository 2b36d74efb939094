import * as vscode from 'vscode';
import { LANGUAGE, LANGUAGES } from './languages';
import { looksLikeTask, parseTask, type ParsedTask } from '../task';

/** Documents that may be tasks. */
export const SELECTOR: vscode.DocumentSelector = LANGUAGES;

/** Which open documents are tasks, and what is in them: each version is read once. */
export class TaskDocuments implements vscode.Disposable {
  private readonly parsed = new Map<string, { readonly version: number; readonly result: ParsedTask }>();
  private readonly subscriptions: vscode.Disposable[];

  constructor() {
    this.subscriptions = [
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.parsed.delete(uri.toString())),
    ];
  }

  /** By its language, by the setting `clusterQueue.taskFiles`, or by its fields. */
  isTask(document: vscode.TextDocument): boolean {
    if (document.languageId === LANGUAGE) return true;
    if (document.languageId !== 'yaml' || /[\\/]ssh_node_pools\.ya?ml$/.test(document.fileName)) return false;
    const patterns = vscode.workspace
      .getConfiguration('clusterQueue', document)
      .get<string[]>('taskFiles', []);
    if (patterns.some((pattern) => matches(document, pattern))) return true;
    return looksLikeTask(document.getText(), document.isUntitled ? 'untitled.yaml' : document.fileName);
  }

  /** What the document says, as it stands now. */
  read(document: vscode.TextDocument): ParsedTask {
    const key = document.uri.toString();
    const known = this.parsed.get(key);
    if (known?.version === document.version) return known.result;
    const result = parseTask(document.getText());
    if (!document.isClosed) this.parsed.set(key, { version: document.version, result });
    return result;
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
    this.parsed.clear();
  }
}

/** A pattern counts from the workspace folder, or from anywhere when it begins with a slash or two stars. */
function matches(document: vscode.TextDocument, pattern: string): boolean {
  const folder = vscode.workspace.getWorkspaceFolder(document.uri);
  const places: vscode.GlobPattern[] = folder
    ? [pattern, new vscode.RelativePattern(folder, pattern)]
    : [pattern];
  return places.some((place) => vscode.languages.match({ pattern: place }, document) > 0);
}
