import * as vscode from 'vscode';
import type { EditorDeps } from './index';
import { LANGUAGES } from './languages';

/**
 * Registers everything about task files in editors when the first file is open that may be one: to read YAML is half of this
 * extension's code, and a window's start must not wait for it.
 */
export function startEditor(deps: EditorDeps): vscode.Disposable {
  let editor: vscode.Disposable | undefined;
  let state: 'waits' | 'starts' | 'over' = 'waits';
  const opened = vscode.workspace.onDidOpenTextDocument((document) => look(document));
  const look = ({ languageId }: vscode.TextDocument): void => {
    if (state !== 'waits' || !LANGUAGES.includes(languageId)) return;
    state = 'starts';
    opened.dispose();
    void import('./index').then(({ registerEditor }) => {
      if (state === 'starts') editor = registerEditor(deps);
    });
  };
  vscode.workspace.textDocuments.forEach(look);
  return new vscode.Disposable(() => {
    state = 'over';
    opened.dispose();
    editor?.dispose();
  });
}
