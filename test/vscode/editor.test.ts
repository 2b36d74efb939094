import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-editor-'));

async function open(name: string, text: string): Promise<vscode.TextDocument> {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  const document = await vscode.workspace.openTextDocument(file);
  await vscode.window.showTextDocument(document);
  return document;
}

/** Resolves once the document's problems are as wanted; told by the editor, never by a clock. */
async function problems(
  document: vscode.TextDocument,
  wanted: (codes: string[], found: vscode.Diagnostic[]) => boolean,
): Promise<vscode.Diagnostic[]> {
  const now = () =>
    vscode.languages.getDiagnostics(document.uri).filter(({ source }) => source === 'Cluster Queue');
  return new Promise((resolve) => {
    const look = () => {
      const found = now();
      if (
        !wanted(
          found.map(({ code }) => (typeof code === 'string' ? code : '')),
          found,
        )
      )
        return;
      subscription.dispose();
      resolve(found);
    };
    const subscription = vscode.languages.onDidChangeDiagnostics(look);
    look();
  });
}

async function change(document: vscode.TextDocument, from: string, to: string): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  edit.replace(document.uri, rangeOf(document, from), to);
  assert.ok(await vscode.workspace.applyEdit(edit));
}

function rangeOf(document: vscode.TextDocument, word: string): vscode.Range {
  const start = document.getText().indexOf(word);
  assert.ok(start >= 0, `${word} is in the file`);
  return new vscode.Range(document.positionAt(start), document.positionAt(start + word.length));
}

async function labelsAt(document: vscode.TextDocument, position: vscode.Position): Promise<string[]> {
  const list = await vscode.commands.executeCommand<vscode.CompletionList>(
    'vscode.executeCompletionItemProvider',
    document.uri,
    position,
  );
  return list.items.map(({ label }) => (typeof label === 'string' ? label : label.label));
}

describe('a task file in the editor', () => {
  before(async () => {
    await vscode.extensions.getExtension('cluster-queue.cluster-queue')?.activate();
  });

  after(async () => {
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it('has its own language by its name, and keeps `yaml` where only its fields tell', async () => {
    assert.equal((await open('own.task.yaml', 'run: x\n')).languageId, 'cluster-task');
    assert.equal((await open('own.sky.yml', 'run: x\n')).languageId, 'cluster-task');
    assert.equal((await open('train.yaml', 'resources: {}\nrun: x\n')).languageId, 'yaml');
  });

  it('shows problems at their tokens, moves them with edits, and takes them away when mended', async () => {
    const document = await open('broken.task.yaml', '# größer\nnum_nodes: two\nrun: x\n');
    const [problem] = await problems(document, (codes) => codes.includes('wrong-type'));
    assert.equal(document.getText(problem?.range), 'two');
    await change(document, '# größer\n', '# größer\n# another line\n');
    await problems(
      document,
      (codes, [moved]) => codes.length === 1 && document.getText(moved?.range) === 'two',
    );
    await change(document, 'two', '2');
    await problems(document, (codes) => codes.length === 0);
  });

  it('forgets the problems of a closed file', async () => {
    const document = await open('closed.task.yaml', 'runn: x\n');
    await problems(document, (codes) => codes.length === 1);
    // A tab is not the document: VS Code closes that some time later, or at once when its language changes.
    const other = await vscode.languages.setTextDocumentLanguage(document, 'plaintext');
    await problems(other, (codes) => codes.length === 0);
    await vscode.languages.setTextDocumentLanguage(other, 'cluster-task');
    await problems(other, (codes) => codes.length === 1);
  });

  it('checks a YAML file with the fields of a task, and no other', async () => {
    const task = await open('any.yaml', 'resources:\n  accelerators: V100:x\nrun: x\n');
    await problems(task, (codes) => codes.includes('bad-accelerator'));
    const compose = await open('compose.yaml', 'services:\n  web:\n    image: x\nrun: [\n');
    const marker = await open('marker.task.yaml', 'runn: x\n');
    await problems(marker, (codes) => codes.length === 1);
    assert.deepEqual(
      vscode.languages.getDiagnostics(compose.uri).filter(({ source }) => source === 'Cluster Queue'),
      [],
    );
  });

  it('checks files that the setting names', async () => {
    const document = await open('named.yaml', 'nam: x\n');
    const settings = vscode.workspace.getConfiguration('clusterQueue');
    await settings.update('taskFiles', ['**/named.yaml'], vscode.ConfigurationTarget.Global);
    try {
      await problems(document, (codes) => codes.includes('unknown-field'));
    } finally {
      await settings.update('taskFiles', undefined, vscode.ConfigurationTarget.Global);
    }
    await problems(document, (codes) => codes.length === 0);
  });

  it('fades fields without effect', async () => {
    const document = await open('cloud.task.yaml', 'resources:\n  use_spot: true\nrun: x\n');
    const [problem] = await problems(document, (codes) => codes.includes('no-effect'));
    assert.equal(problem?.severity, vscode.DiagnosticSeverity.Information);
    assert.deepEqual(problem.tags, [vscode.DiagnosticTag.Unnecessary]);
  });

  it('misses a folder that is not there', async () => {
    const document = await open('paths.task.yaml', 'workdir: nowhere\nrun: x\n');
    const [problem] = await problems(document, (codes) => codes.includes('missing-path'));
    assert.equal(document.getText(problem?.range), 'nowhere');
    await change(document, 'nowhere', '.');
    await problems(document, (codes) => codes.length === 0);
  });

  it('sees that a missing folder was made, in the explorer or while another editor was looked at', async () => {
    const document = await open('made.task.yaml', 'workdir: made\nfile_mounts: {~/x: ./later}\nrun: x\n');
    await problems(document, (codes) => codes.length === 2);
    const edit = new vscode.WorkspaceEdit();
    edit.createFile(vscode.Uri.file(path.join(folder, 'made', 'train.py')));
    await vscode.workspace.applyEdit(edit);
    await problems(document, (codes) => codes.length === 1);
    await open('other.txt', '');
    fs.writeFileSync(path.join(folder, 'later'), '');
    await vscode.window.showTextDocument(document);
    await problems(document, (codes) => codes.length === 0);
  });

  it('offers quick fixes, and each mends the file', async () => {
    const broken: [string, string][] = [
      ['resorces:\n  cpus: 4\nrun: x\n', 'resources:\n  cpus: 4\nrun: x\n'],
      ['num_nodes: "2"\nrun: x\n', 'num_nodes: 2\nrun: x\n'],
      ['resources:\n  accelerators: V100: 4\nrun: x\n', 'resources:\n  accelerators: V100:4\nrun: x\n'],
      ['resources:\n\tcpus: 4\nrun: x\n', 'resources:\n  cpus: 4\nrun: x\n'],
      ['name: "a\nrun: x\n', 'name: "a"\nrun: x\n'],
    ];
    for (const [index, [before, mended]] of broken.entries()) {
      const document = await open(`fix${index}.task.yaml`, before);
      const [problem] = await problems(document, (codes) => codes.length === 1);
      assert.ok(problem);
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        'vscode.executeCodeActionProvider',
        document.uri,
        problem.range,
        vscode.CodeActionKind.QuickFix.value,
      );
      const edit = actions.find((action) => action.edit)?.edit;
      assert.ok(edit, before);
      await vscode.workspace.applyEdit(edit);
      assert.equal(document.getText(), mended);
      await problems(document, (codes) => codes.length === 0);
    }
  });

  it('completes fields and values', async () => {
    const document = await open('complete.task.yaml', 'resources:\n  acc\n  use_spot: \nrun: x\n');
    assert.ok((await labelsAt(document, new vscode.Position(1, 5))).includes('accelerators'));
    assert.ok((await labelsAt(document, new vscode.Position(2, 12))).includes('true'));
    const yaml = await open('complete.yaml', 'resources:\n  accelerators: \nrun: x\n');
    const gpus = await labelsAt(yaml, new vscode.Position(1, 16));
    assert.ok(gpus.includes('H100'));
    assert.equal(new Set(gpus).size, gpus.length, 'nothing twice');
  });

  it('explains fields on hover', async () => {
    const document = await open('hover.task.yaml', 'num_nodes: 2\nrun: x\n');
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      document.uri,
      new vscode.Position(0, 3),
    );
    assert.equal(hovers.length, 1);
    const [text] = hovers[0]?.contents ?? [];
    assert.match(text instanceof vscode.MarkdownString ? text.value : '', /together or not at all/);
  });

  it('has an outline', async () => {
    const document = await open('outline.task.yaml', 'resources:\n  cpus: 4\nrun: |\n  x\n');
    const symbols = await vscode.commands.executeCommand<vscode.DocumentSymbol[]>(
      'vscode.executeDocumentSymbolProvider',
      document.uri,
    );
    assert.deepEqual(
      symbols.map(({ name }) => name),
      ['resources', 'run'],
    );
  });

  it('has a lens that runs it', async () => {
    const document = await open('lens.task.yaml', '# a comment\nname: a\nrun: x\n');
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
      'vscode.executeCodeLensProvider',
      document.uri,
      9,
    );
    const run = lenses.find(({ command }) => command?.command === 'clusterQueue.exec');
    assert.equal(run?.range.start.line, 1);
    assert.equal(String(run.command?.arguments?.[0]), String(document.uri));
  });

  it('checks, completes and explains node pools', async () => {
    const document = await open(
      'ssh_node_pools.yaml',
      'lab:\n  usr: me\n  hosts:\n    - ip: a\n      \n    - ip: b\n      port: x\nlab:\n  hosts: [c]\n',
    );
    const found = await problems(document, (codes) => codes.length === 3);
    assert.deepEqual(found.map(({ code, range }) => [code, document.getText(range)]).sort(), [
      ['bad-port', 'x'],
      ['duplicate-key', 'lab'],
      ['unknown-field', 'usr'],
    ]);
    const labels = await labelsAt(document, new vscode.Position(4, 6));
    assert.ok(labels.includes('gpus') && !labels.includes('ip'), labels.join());
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      document.uri,
      new vscode.Position(6, 7),
    );
    const words = hovers.flatMap(({ contents }) =>
      contents.map((part) => (part instanceof vscode.MarkdownString ? part.value : '')),
    );
    assert.match(words.join(), /Port of its sshd/);
    await change(document, 'usr', 'user');
    await change(document, 'port: x', 'port: 22');
    await change(document, '\nlab:\n  hosts: [c]', '\nlab2:\n  hosts: [c]');
    await problems(document, (codes) => codes.length === 0);
  });
});
