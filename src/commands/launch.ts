import path from 'node:path';
import * as vscode from 'vscode';
import type { NodeDefinition } from '../cluster';
import { launch, userName, type Launched, type Queue } from '../control';
import { applyOverrides } from '../task';
import { askClusterName, pickHosts } from './addCluster';
import type { Command } from './context';
import { askValues, readTask, taskFile, trusted } from './taskFile';

/** Launch Cluster…: makes a cluster of hosts that fit a task file, sets them up, and queues the task. */
export const launchCommand: Command = {
  id: 'launch',
  run: async (context, target) => {
    if (!(await trusted())) return;
    const document = await taskFile(target);
    const task = document && (await readTask(document));
    if (!document || !task) return;
    const values = await askValues(task);
    if (!values) return;
    const queue = await context.window.open();
    const where = await askWhere(queue);
    if (!where) return;
    const request = {
      ...where,
      task: applyOverrides(task, values),
      file: document.fileName,
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
        return launch(queue, request, { say, signal: abort.signal });
      },
    );
    const first = launched.setup ?? launched.run;
    if (!first) {
      void vscode.window.showInformationMessage(vscode.l10n.t('cluster {0} is ready', where.name));
      return;
    }
    const jobs = [launched.setup, launched.run].flatMap((job) =>
      job ? [`job ${job.id} (${job.name})`] : [],
    );
    void vscode.window.showInformationMessage(
      vscode.l10n.t('queued on {0}: {1}', where.name, jobs.join(', then ')),
    );
    await context.logs.show(where.name, first.id);
  },
};

/** A new cluster and its candidates, or one that is there. */
async function askWhere(queue: Queue): Promise<{ name: string; nodes: NodeDefinition[] } | undefined> {
  const title = vscode.l10n.t('Launch Cluster');
  const fresh = { label: `$(add) ${vscode.l10n.t('New cluster of SSH hosts…')}`, name: undefined };
  const known = queue.views().map(({ name }) => ({
    label: name,
    description: vscode.l10n.t('place files and set up again'),
    name,
  }));
  const picked = await vscode.window.showQuickPick([fresh, ...known], { title });
  if (!picked) return undefined;
  if (picked.name !== undefined) return { name: picked.name, nodes: [] };
  const nodes = await pickHosts(title);
  if (!nodes || nodes.length === 0) return undefined;
  const name = await askClusterName(queue, title);
  return name === undefined ? undefined : { name, nodes };
}
