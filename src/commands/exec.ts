import path from 'node:path';
import * as vscode from 'vscode';
import { Engine } from '../engine';
import { applyOverrides, missingValues, parseTask, type Task, type TaskOverrides } from '../task';
import type { Command, CommandContext } from './context';
import { pickCluster } from './pick';

/** Exec on Cluster…: reads a task file as it stands in the editor, asks what is open, and queues it. */
export const execCommand: Command = { id: 'exec', run: (context, target) => exec(context, target, false) };

/** The same, with name and GPUs asked for: one file, many jobs. */
export const execWithCommand: Command = {
  id: 'execWith',
  run: (context, target) => exec(context, target, true),
};

async function exec(context: CommandContext, target: unknown, withOptions: boolean): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    const manage = vscode.l10n.t('Manage Workspace Trust');
    const answer = await vscode.window.showWarningMessage(
      vscode.l10n.t('Tasks of this folder are not run on clusters until you trust it.'),
      manage,
    );
    if (answer === manage) await vscode.commands.executeCommand('workbench.trust.manage');
    return;
  }
  const uri = target instanceof vscode.Uri ? target : vscode.window.activeTextEditor?.document.uri;
  if (!uri) {
    void vscode.window.showInformationMessage(
      vscode.l10n.t('Open a task file first, or right-click one in the explorer.'),
    );
    return;
  }
  const document = await vscode.workspace.openTextDocument(uri);
  const task = await readTask(document);
  if (!task) return;
  const overrides = withOptions ? await askOptions(task) : {};
  if (!overrides) return;
  const values = await askValues(task);
  if (!values) return;
  const engine = await context.queue.open();
  const cluster = await pickCluster(
    context,
    engine,
    vscode.l10n.t('Exec {0} on Cluster', path.basename(document.fileName)),
  );
  if (cluster === undefined) return;
  const record = await engine.submit(applyOverrides(task, { ...overrides, ...values }), {
    cluster,
    user: Engine.userName(),
    file: document.fileName,
  });
  const shown = context.logs.show(cluster, record.id);
  void vscode.window.showInformationMessage(vscode.l10n.t('job {0} queued on {1}', record.id, cluster));
  await shown;
}

/** The file's task, or undefined after its first mistake was shown. */
async function readTask(document: vscode.TextDocument): Promise<Task | undefined> {
  const { task, problems, taskCount } = parseTask(document.getText());
  const first = problems.filter(({ severity }) => severity === 'error').sort((a, b) => a.start - b.start)[0];
  if (!first && task && taskCount === 1) return task;
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

async function askOptions(task: Task): Promise<TaskOverrides | undefined> {
  const title = vscode.l10n.t('Exec on Cluster with Options');
  const name = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Name of the job'),
    value: task.name ?? '',
  });
  if (name === undefined) return undefined;
  const gpus = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('GPUs on each node, as V100:4, or none; empty: as the file says'),
    placeHolder: 'V100:1',
    validateInput: (value) => flawOf(() => applyOverrides(task, value === '' ? {} : { gpus: value })),
  });
  if (gpus === undefined) return undefined;
  return { ...(name === '' ? {} : { name }), ...(gpus === '' ? {} : { gpus }) };
}

function flawOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Values that the file leaves open (`KEY:` with nothing behind it). */
async function askValues(task: Task): Promise<Pick<TaskOverrides, 'envs' | 'secrets'> | undefined> {
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
