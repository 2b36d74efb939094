import path from 'node:path';
import * as vscode from 'vscode';
import { userName } from '../control';
import { applyOverrides, type Task, type TaskOverrides } from '../task';
import type { Command, CommandContext } from './context';
import { pickCluster } from './pick';
import { askValues, readTask, taskFile, trusted } from './taskFile';

/** Exec on Cluster…: reads a task file as it stands in the editor, asks what is open, and queues it. */
export const execCommand: Command = { id: 'exec', run: (context, target) => exec(context, target, false) };

/** The same, with name and GPUs asked for: one file, many jobs. */
export const execWithCommand: Command = {
  id: 'execWith',
  run: (context, target) => exec(context, target, true),
};

async function exec(context: CommandContext, target: unknown, withOptions: boolean): Promise<void> {
  if (!(await trusted())) return;
  const document = await taskFile(target);
  if (!document) return;
  const task = await readTask(document);
  if (!task) return;
  const overrides = withOptions ? await askOptions(task) : {};
  if (!overrides) return;
  const values = await askValues(task);
  if (!values) return;
  const queue = await context.window.open();
  const cluster = await pickCluster(
    context,
    queue,
    vscode.l10n.t('Exec {0} on Cluster', path.basename(document.fileName)),
  );
  if (cluster === undefined) return;
  const record = await queue.submit(applyOverrides(task, { ...overrides, ...values }), {
    cluster,
    user: userName(),
    file: document.fileName,
  });
  const shown = context.logs.show(cluster, record.id);
  void vscode.window.showInformationMessage(vscode.l10n.t('job {0} queued on {1}', record.id, cluster));
  await shown;
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
