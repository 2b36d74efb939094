import path from 'node:path';
import * as vscode from 'vscode';
import type { Queue } from '../control';
import { userName } from '../control/home';
import { jobsWords, lacksWords, type JobRecord } from '../queue';
import {
  applyOverrides,
  parseSweep,
  parseTimeLimit,
  taskNameFlaw,
  variantsOf,
  type Task,
  type TaskOverrides,
  type Variant,
} from '../task';
import type { SubmitOptions } from '../engine';
import type { Command, CommandContext } from './context';
import { tendMounts } from './mounts';
import { pickCluster } from './pick';
import { askValues, originOf, readTask, taskFile, taskFiles, trusted } from './taskFile';

// As for `cq exec --retries`.
const MOST_RETRIES = 1000;

/** Exec on Cluster…: reads task files as they stand in the editor, asks what is open, and queues them. */
export const execCommand: Command = {
  id: 'exec',
  run: async (context, target, selected) => {
    if (!(await trusted())) return;
    const asked: { document: vscode.TextDocument; task: Task; overrides: TaskOverrides }[] = [];
    for (const document of await taskFiles(target, selected)) {
      const task = await readTask(document);
      const overrides = task && (await askValues(task));
      // One that is wrong, or a changed mind, and none is queued.
      if (!task || !overrides) return;
      asked.push({ document, task, overrides });
    }
    const [first] = asked;
    const place = first && (await askPlace(context, first.document));
    if (!place) return;
    for (const { document, task, overrides } of asked)
      await queueTask(context, place, document, applyOverrides(task, overrides), {});
  },
};

/** The same, with name and GPUs asked for: one file, many jobs. */
export const execWithCommand: Command = {
  id: 'execWith',
  run: async (context, target) => {
    if (!(await trusted())) return;
    const document = await taskFile(target);
    const task = document && (await readTask(document));
    const options = task && (await askOptions(task));
    const values = options && (await askValues(task));
    const place = values && (await askPlace(context, document));
    if (!place) return;
    const whole = applyOverrides(task, { ...options.overrides, ...values });
    await queueTask(context, place, document, whole, options.limits);
  },
};

/** Exec on Cluster N Times…: the task as an array or a sweep, in one group. */
export const execManyCommand: Command = {
  id: 'execMany',
  run: async (context, target) => {
    if (!(await trusted())) return;
    const document = await taskFile(target);
    const task = document && (await readTask(document));
    if (!document || !task) return;
    const variants = await askVariants(path.basename(document.fileName));
    const [first] = variants ?? [];
    if (!variants || !first) return;
    // What the sweep gives need not be asked for.
    const given = Object.fromEntries(Object.entries(first.envs).filter(([name]) => name in task.envs));
    const secret = Object.keys(first.envs).find((name) => name in task.secrets);
    if (secret !== undefined)
      throw new Error(vscode.l10n.t('{0} is a secret of the task, and a sweep’s values are shown.', secret));
    const open = applyOverrides(task, { envs: given });
    const values = await askValues(open);
    if (!values) return;
    const place = await askPlace(context, document);
    if (!place) return;
    const { queue, cluster } = place;
    const whole = applyOverrides(open, values);
    if (!(await tendMounts(queue, cluster, whole, document))) return;
    const record = await queue.submitGroup(whole, variants, {
      cluster,
      user: userName(),
      ...originOf(document),
    });
    const { id } = record;
    warnOfLacks(record);
    void vscode.window.showInformationMessage(
      variants.length === 1
        ? vscode.l10n.t('job {0} queued on {1}', id, cluster)
        : vscode.l10n.t('jobs {0} to {1} queued on {2}', id, id + variants.length - 1, cluster),
    );
  },
};

async function askVariants(file: string): Promise<Variant[] | undefined> {
  const read = (text: string): Variant[] => {
    const { axes, repeat } = parseSweep(text);
    return variantsOf(axes, repeat);
  };
  const text = await vscode.window.showInputBox({
    title: vscode.l10n.t('Exec {0} N Times', file),
    prompt: vscode.l10n.t('How often, or the values that variables are to have'),
    placeHolder: '8   or   lr=1e-3,1e-4 seed=1..5',
    validateInput: (value) => {
      if (value.trim() === '') return undefined;
      const flaw = flawOf(() => read(value));
      if (flaw !== undefined) return flaw;
      const message = jobsWords(read(value).length);
      return { message, severity: vscode.InputBoxValidationSeverity.Info };
    },
  });
  return text === undefined || text.trim() === '' ? undefined : read(text);
}

interface Place {
  readonly queue: Queue;
  readonly cluster: string;
}

/** The queue, and the cluster of it that the user picks; undefined when they pick none. */
async function askPlace(context: CommandContext, document: vscode.TextDocument): Promise<Place | undefined> {
  const queue = await context.window.open();
  const title = vscode.l10n.t('Exec {0} on Cluster', path.basename(document.fileName));
  const cluster = await pickCluster(context, queue, title);
  return cluster === undefined ? undefined : { queue, cluster };
}

/** Queues one job and opens its log. */
async function queueTask(
  context: CommandContext,
  { queue, cluster }: Place,
  document: vscode.TextDocument,
  whole: Task,
  limits: ExecOptions['limits'],
): Promise<void> {
  if (!(await tendMounts(queue, cluster, whole, document))) return;
  const record = await queue.submit(whole, {
    ...limits,
    cluster,
    user: userName(),
    ...originOf(document),
  });
  warnOfLacks(record);
  const shown = context.logs.show(cluster, record.id);
  void vscode.window.showInformationMessage(vscode.l10n.t('job {0} queued on {1}', record.id, cluster));
  await shown;
}

const told = new Set<string>();

/** Says what of a job's workdir did not come along, once in each window. */
export function warnOfLacks(record: JobRecord | undefined): void {
  const words = record && lacksWords(record);
  if (words === undefined || told.has(words)) return;
  told.add(words);
  void vscode.window.showWarningMessage(words);
}

interface ExecOptions {
  readonly overrides: TaskOverrides;
  readonly limits: Pick<SubmitOptions, 'timeoutS' | 'retries'>;
}

async function askOptions(task: Task): Promise<ExecOptions | undefined> {
  const title = vscode.l10n.t('Exec on Cluster with Options');
  const name = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Name of the job'),
    value: task.name ?? '',
    validateInput: (value) => (value === '' ? undefined : taskNameFlaw(value)?.message),
  });
  if (name === undefined) return undefined;
  const gpus = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('GPUs on each node, as V100:4, or none; empty: as the file says'),
    placeHolder: 'V100:1',
    validateInput: (value) => flawOf(() => applyOverrides(task, value === '' ? {} : { gpus: value })),
  });
  if (gpus === undefined) return undefined;
  const limits = await askLimits(title, task);
  return (
    limits && { overrides: { ...(name === '' ? {} : { name }), ...(gpus === '' ? {} : { gpus }) }, limits }
  );
}

async function askLimits(title: string, task: Task): Promise<ExecOptions['limits'] | undefined> {
  const timeout = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Time limit of a try; empty: none'),
    placeHolder: '30m   4h   1d',
    validateInput: (value) => (value === '' ? undefined : parseTimeLimit(value).flaw?.message),
  });
  if (timeout === undefined) return undefined;
  const retries = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('How often it is run again after an exit code other than 0'),
    value: String(task.retries ?? 0),
    validateInput: (value) =>
      /^\d+$/.test(value) && Number(value) <= MOST_RETRIES
        ? undefined
        : vscode.l10n.t('A whole number from 0 to {0}', MOST_RETRIES),
  });
  if (retries === undefined) return undefined;
  const timeoutS = timeout === '' ? undefined : parseTimeLimit(timeout).value;
  return { ...(timeoutS === undefined ? {} : { timeoutS }), retries: Number(retries) };
}

function flawOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
