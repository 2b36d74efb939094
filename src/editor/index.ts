/** The editor room: what VS Code shows in and around a task file. */
import * as vscode from 'vscode';
import { TaskCodeActions } from './codeActions';
import { TaskCodeLenses, type JobsOfFiles } from './codeLens';
import { TaskCompletion } from './completion';
import { TaskDiagnostics, type World } from './diagnostics';
import { TaskHover } from './hover';
import { TaskSymbols } from './symbols';
import { registerPools, type PoolsDeps } from './pools';
import { SELECTOR, TaskDocuments } from './taskDocuments';
import { TaskFilesContext } from './taskFilesContext';

export type { JobsOfFiles } from './codeLens';

/** What the editor needs to know of the world. */
export type EditorDeps = JobsOfFiles & World & PoolsDeps;

/** Registers everything about task files in editors; dispose it to take all of it away again. */
export function registerEditor(deps: EditorDeps): vscode.Disposable {
  const documents = new TaskDocuments();
  const diagnostics = new TaskDiagnostics(documents, deps);
  const { languages } = vscode;
  return vscode.Disposable.from(
    documents,
    diagnostics,
    registerPools(deps),
    new TaskFilesContext(documents, diagnostics.onDidCheck),
    languages.registerCodeActionsProvider(
      SELECTOR,
      new TaskCodeActions(documents, (document) => diagnostics.problemsOf(document)),
      TaskCodeActions.metadata,
    ),
    languages.registerCompletionItemProvider(
      SELECTOR,
      new TaskCompletion(documents, deps.knownGpus),
      ...TaskCompletion.triggers,
    ),
    languages.registerHoverProvider(SELECTOR, new TaskHover(documents)),
    languages.registerDocumentSymbolProvider(SELECTOR, new TaskSymbols(documents)),
    languages.registerCodeLensProvider(SELECTOR, new TaskCodeLenses(documents, deps)),
  );
}
