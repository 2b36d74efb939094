import path from 'node:path';
import * as vscode from 'vscode';
import {
  applyOverrides,
  localPaths,
  missingValues,
  parseTask,
  taskNameFlaw,
  type Task,
  type TaskOverrides,
} from '../task';

/** False, and said so, in a folder that the user does not trust. */
export async function trusted(): Promise<boolean> {
  if (vscode.workspace.isTrusted) return true;
  const manage = vscode.l10n.t('Manage Workspace Trust');
  const answer = await vscode.window.showWarningMessage(
    vscode.l10n.t('Tasks of this folder are not run on clusters until you trust it.'),
    manage,
  );
  if (answer === manage) await vscode.commands.executeCommand('workbench.trust.manage');
  return false;
}

/** The files a command was called on (the explorer passes all that are selected), or the one in the editor. */
export async function taskFiles(target: unknown, selected: unknown): Promise<vscode.TextDocument[]> {
  const uris = Array.isArray(selected) ? selected.filter((uri) => uri instanceof vscode.Uri) : [];
  if (uris.length > 1) return Promise.all(uris.map((uri) => vscode.workspace.openTextDocument(uri)));
  const only = await taskFile(target);
  return only ? [only] : [];
}

/** The file a command was called on, or the one in the editor, as it stands there. */
export async function taskFile(target: unknown): Promise<vscode.TextDocument | undefined> {
  const uri = target instanceof vscode.Uri ? target : vscode.window.activeTextEditor?.document.uri;
  if (uri) return vscode.workspace.openTextDocument(uri);
  void vscode.window.showInformationMessage(
    vscode.l10n.t('Open a task file first, or right-click one in the explorer.'),
  );
  return undefined;
}

/**
 * A task file, and where relative paths in it are looked for: beside it, then in the workspace folder that it is in, which
 * is where a terminal opens and `sky` would look. An editor that was never saved has no place but the workspace.
 */
export function originOf(document: vscode.TextDocument): { file?: string; folders: string[] } {
  const { fileName, uri } = document;
  if (!path.isAbsolute(fileName)) {
    const folders = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
    if (
      folders.length === 0 &&
      localPaths(document.getText()).some(({ path: written }) => isRelative(written))
    )
      throw new Error(
        vscode.l10n.t('Save {0} first: relative paths in it are looked for beside it.', fileName),
      );
    return { folders };
  }
  const workspace = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
  const beside = path.dirname(fileName);
  return { file: fileName, folders: workspace === undefined ? [beside] : [beside, workspace] };
}

/** The task of an editor that was never saved has no file to be named after. */
function named(task: Task, { fileName }: vscode.TextDocument): Task {
  if (task.name !== undefined || path.isAbsolute(fileName) || taskNameFlaw(fileName)) return task;
  return applyOverrides(task, { name: fileName });
}

function isRelative(written: string): boolean {
  return !path.isAbsolute(written) && !written.startsWith('~');
}

/** The file's task, or undefined after its first mistake was shown. */
export async function readTask(document: vscode.TextDocument): Promise<Task | undefined> {
  const { task, problems, taskCount } = parseTask(document.getText());
  const first = problems.filter(({ severity }) => severity === 'error').sort((a, b) => a.start - b.start)[0];
  if (!first && task && taskCount === 1) return named(task, document);
  if (!first && taskCount > 1) {
    void vscode.window.showErrorMessage(
      vscode.l10n.t(
        '{0} holds {1} tasks; exec runs one. Put the one to run in a file of its own.',
        path.basename(document.fileName),
        taskCount,
      ),
    );
    return undefined;
  }
  const range = new vscode.Range(
    document.positionAt(first?.start ?? 0),
    document.positionAt(first?.end ?? 0),
  );
  await vscode.window.showTextDocument(document, { selection: range });
  const where = `${path.basename(document.fileName)}:${range.start.line + 1}`;
  void vscode.window.showErrorMessage(
    first
      ? vscode.l10n.t('{0}: {1}', where, first.message)
      : vscode.l10n.t('{0} is not a task file.', path.basename(document.fileName)),
  );
  return undefined;
}

/** Values that the file leaves open (`KEY:` with nothing behind it). */
export async function askValues(task: Task): Promise<Pick<TaskOverrides, 'envs' | 'secrets'> | undefined> {
  const missing = missingValues(task);
  const envs: Record<string, string> = {};
  const secrets: Record<string, string> = {};
  for (const [names, values, password] of [
    [missing.envs, envs, false],
    [missing.secrets, secrets, true],
  ] as const) {
    for (const name of names) {
      const value = await vscode.window.showInputBox({
        title: vscode.l10n.t('Value of {0}', name),
        prompt: vscode.l10n.t('The task file leaves it open.'),
        password,
        ignoreFocusOut: true,
      });
      if (value === undefined) return undefined;
      values[name] = value;
    }
  }
  return { envs, secrets };
}
