import * as vscode from 'vscode';
import type { Problem } from '../task';
import { rangeOf } from './convert';
import type { TaskDocuments } from './taskDocuments';

/** The quick fixes that the check has for its problems. */
export class TaskCodeActions implements vscode.CodeActionProvider {
  static readonly metadata: vscode.CodeActionProviderMetadata = {
    providedCodeActionKinds: [vscode.CodeActionKind.QuickFix],
  };

  constructor(
    private readonly documents: TaskDocuments,
    private readonly problemsOf: (document: vscode.TextDocument) => readonly Problem[],
  ) {}

  provideCodeActions(
    document: vscode.TextDocument,
    range: vscode.Range,
    context: vscode.CodeActionContext,
  ): vscode.CodeAction[] {
    if (!this.documents.isTask(document)) return [];
    // Read anew rather than kept with the diagnostic: those are a little older than the text.
    return this.problemsOf(document).flatMap((problem) => {
      const place = rangeOf(document, problem);
      if (!place.intersection(range)) return [];
      const fixes = problem.fixes ?? [];
      return fixes.map((fix) => {
        const action = new vscode.CodeAction(fix.title, vscode.CodeActionKind.QuickFix);
        action.edit = new vscode.WorkspaceEdit();
        action.edit.replace(document.uri, rangeOf(document, fix), fix.text);
        action.diagnostics = context.diagnostics.filter(
          ({ code, range: marked }) => code === problem.code && marked.isEqual(place),
        );
        action.isPreferred = fixes.length === 1;
        return action;
      });
    });
  }
}
