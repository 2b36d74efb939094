import path from 'node:path';
import * as vscode from 'vscode';
import type { Launched, LaunchRequest, Queue } from '../control';
import { userName } from '../control/home';
import { otherPoolWords, poolsOfTask } from '../control/pools';
import { applyOverrides, type Task } from '../task';
import { readSettings } from '../window';
import { askClusterName, pickHosts } from './addCluster';
import { targets, type Command, type CommandContext } from './context';
import { warnOfLacks } from './exec';
import { askValues, originOf, readTask, taskFile, trusted } from './taskFile';

/** Launch Cluster…: makes a cluster of hosts that fit a task file, sets them up, and queues the task. */
export const launchCommand: Command = {
  id: 'launch',
  run: async (context, target) => {
    if (!(await trusted())) return;
    const document = await taskFile(target);
    if (document) await launchFile(context, document, askWhere);
  },
};

/** Retry Launch: goes on with the step of a launch that failed, with its task file as that is now. */
export const retryLaunch: Command = {
  id: 'retryLaunch',
  run: async (context, ...args) => {
    if (!(await trusted())) return;
    const queue = await context.window.open();
    for (const { cluster } of targets(context, 'cluster', args)) {
      const file = queue.view(cluster)?.launch?.file;
      if (file === undefined)
        throw new Error(
          vscode.l10n.t(
            '{0} was launched without a task file: launch it again as it was launched before (cq launch -c {0} …)',
            cluster,
          ),
        );
      const document = await vscode.workspace.openTextDocument(file);
      await launchFile(context, document, () => Promise.resolve({ name: cluster, nodes: [] }));
    }
  },
};

type Where = Pick<LaunchRequest, 'name' | 'nodes'>;

async function launchFile(
  context: CommandContext,
  document: vscode.TextDocument,
  ask: (queue: Queue, task: Task) => Promise<Where | undefined>,
): Promise<void> {
  const task = await readTask(document);
  if (!task) return;
  const values = await askValues(task);
  if (!values) return;
  const queue = await context.window.open();
  const where = await ask(queue, task);
  if (!where) return;
  // One that is made of them now has what was ticked.
  const other =
    where.nodes.length > 0
      ? undefined
      : await otherPoolWords(readSettings().nodePools, task, queue.definition(where.name));
  const request = {
    ...where,
    task: applyOverrides(task, values),
    ...originOf(document),
    user: userName(),
  };
  const launched = await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t('Launching {0} on {1}', path.basename(document.fileName), where.name),
      cancellable: true,
    },
    async (progress, token): Promise<Launched> => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const say = (words: string): void => {
        context.log.info(`launch ${where.name}: ${words}`);
        progress.report({ message: words });
      };
      const { launch } = await import('../control');
      return launch(queue, request, { say, signal: abort.signal });
    },
  );
  const { passedOverWords } = await import('../control');
  void vscode.window.showInformationMessage(
    [
      launchedWords(where.name, launched),
      ...passedOverWords(launched.passedOver),
      ...(other === undefined ? [] : [other]),
    ].join('; '),
  );
  const first = launched.setup ?? launched.run;
  warnOfLacks(first);
  if (first) await context.logs.show(where.name, first.id);
}

function launchedWords(cluster: string, { setup, run }: Launched): string {
  const jobs = [setup, run].flatMap((job) => (job ? [`job ${job.id} (${job.name})`] : []));
  return jobs.length === 0
    ? vscode.l10n.t('cluster {0} is ready', cluster)
    : vscode.l10n.t('queued on {0}: {1}', cluster, jobs.join(', then '));
}

/** A new cluster and its candidates, or one that is there. */
async function askWhere(queue: Queue, task: Task): Promise<Where | undefined> {
  const { numNodes } = task;
  const title = vscode.l10n.t('Launch Cluster');
  const fresh = { label: `$(add) ${vscode.l10n.t('New cluster…')}`, name: undefined };
  const known = queue.views().map(({ name, launch: step }) => ({
    label: name,
    description: step
      ? vscode.l10n.t('go on with its launch')
      : vscode.l10n.t('place files and set up again'),
    name,
  }));
  const picked = await vscode.window.showQuickPick([fresh, ...known], {
    title,
    placeHolder: vscode.l10n.t('Cluster'),
  });
  if (!picked) return undefined;
  if (picked.name !== undefined) return { name: picked.name, nodes: [] };
  const nodes = await pickHosts(
    title,
    numNodes === 1
      ? vscode.l10n.t('Tick machines: the first that fits is taken (num_nodes is 1)')
      : vscode.l10n.t('Tick machines: the first {0} that fit are taken (num_nodes)', numNodes),
    poolsOfTask(task),
  );
  if (!nodes || nodes.length === 0) return undefined;
  const name = await askClusterName(queue, title);
  return name === undefined ? undefined : { name, nodes };
}
