import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';

const ID = 'cluster-queue.cluster-queue';

function workspaceFile(name: string): vscode.Uri {
  const folder = vscode.workspace.workspaceFolders?.[0];
  assert.ok(folder, 'the suite needs a workspace');
  return vscode.Uri.joinPath(folder.uri, name);
}

/** Waits until an open output channel holds the text. */
async function output(text: string | RegExp): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const found = vscode.workspace.textDocuments
      .filter(({ uri }) => uri.scheme === 'output')
      .map((document) => document.getText())
      .find((content) => (typeof text === 'string' ? content.includes(text) : text.test(content)));
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const all = vscode.workspace.textDocuments.map(
    (document) => `${document.uri.toString()}\n${document.getText()}`,
  );
  throw new Error(`no output channel holds ${String(text)}: ${all.join('\n---\n')}`);
}

describe('the extension', () => {
  before(async () => {
    await vscode.extensions.getExtension(ID)?.activate();
  });

  it('registers every command that it contributes', async () => {
    const manifest = vscode.extensions.getExtension(ID)?.packageJSON as {
      contributes: { commands: { command: string }[] };
    };
    const known = new Set(await vscode.commands.getCommands(true));
    for (const { command } of manifest.contributes.commands) assert.ok(known.has(command), command);
  });

  it('runs a task file on local, and shows its log to the end', async () => {
    await vscode.commands.executeCommand('clusterQueue.exec', workspaceFile('hello.task.yaml'));
    const log = await output(/job \d+ SUCCEEDED/);
    assert.match(log, /^hello from \S+, job \d+$/m);
  });

  it('runs all files that are selected, one after the other', async () => {
    const files = ['one', 'two'].map((name) => workspaceFile(`${name}-of-two.task.yaml`));
    for (const { fsPath } of files) await writeFile(fsPath, `run: echo ran > '${fsPath}.ran'\n`);
    await vscode.commands.executeCommand('clusterQueue.exec', files[1], files);
    await output(/job \d+ SUCCEEDED/);
    for (const { fsPath } of files) {
      const hasRun = async (): Promise<boolean> =>
        (await readFile(`${fsPath}.ran`).catch(() => '')).length > 0;
      for (let attempt = 0; attempt < 200 && !(await hasRun()); attempt++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      assert.ok(await hasRun(), fsPath);
      await Promise.all([rm(fsPath), rm(`${fsPath}.ran`)]);
    }
  });

  it('looks for the paths of an editor that was never saved in the workspace', async () => {
    assert.notEqual(process.cwd(), vscode.workspace.workspaceFolders?.[0]?.uri.fsPath);
    const document = await vscode.workspace.openTextDocument({
      language: 'cluster-task',
      content: 'workdir: .\nrun: ls hello.task.yaml && echo "never saved"\n',
    });
    await vscode.commands.executeCommand('clusterQueue.exec', document.uri);
    assert.match(await output('never saved'), /^hello\.task\.yaml$/m);
  });

  it('queues the text as it stands in the editor, also when it was not saved', async () => {
    const document = await vscode.workspace.openTextDocument(workspaceFile('hello.task.yaml'));
    const edit = new vscode.WorkspaceEdit();
    const range = new vscode.Range(document.positionAt(0), document.positionAt(document.getText().length));
    edit.replace(document.uri, range, 'name: edited\nrun: echo "from the editor"\n');
    await vscode.workspace.applyEdit(edit);
    await vscode.commands.executeCommand('clusterQueue.exec', document.uri);
    await output('from the editor');
    await vscode.window.showTextDocument(document);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  });

  it('does not queue a file with a mistake, and goes to the first', async () => {
    await vscode.commands.executeCommand('clusterQueue.exec', workspaceFile('mistakes.task.yaml'));
    const editor = vscode.window.activeTextEditor;
    assert.equal(path.basename(editor?.document.fileName ?? ''), 'mistakes.task.yaml');
    assert.equal(editor?.document.getText(editor.selection), 'num_node');
  });

  it('has cq in its terminals', async function () {
    if (process.platform === 'win32') return this.skip();
    const file = path.join(workspaceFile('version.txt').fsPath);
    const terminal = vscode.window.createTerminal({ name: 'cq' });
    terminal.sendText(`cq --version > '${file}' 2>&1`);
    for (let attempt = 0; attempt < 200; attempt++) {
      const text = await readFile(file, 'utf8').catch(() => '');
      if (/\d+\.\d+\.\d+/.test(text)) break;
      assert.ok(attempt < 199, `no version: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    terminal.dispose();
  });
});
