import * as vscode from 'vscode';
import type { NodesChange } from '../cluster';
import type { Queue } from '../control';
import { pickHosts } from './addCluster';
import { targets, type Command, type CommandContext } from './context';
import { pickCluster } from './pick';
import { LOCAL } from '../window';

/** Drain Node: what runs there goes on, nothing new starts. */
export const drainNode: Command = {
  id: 'drainNode',
  run: (context, ...args) =>
    change(context, args, vscode.l10n.t('Drain Node'), (node) => ({ drain: [node] })),
};

export const undrainNode: Command = {
  id: 'undrainNode',
  run: (context, ...args) =>
    change(context, args, vscode.l10n.t('Undrain Node'), (node) => ({ undrain: [node] })),
};

/** Remove Node…: asks; where jobs run there, offers to drain it instead. */
export const removeNode: Command = {
  id: 'removeNode',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster, node } of await nodesFor(context, queue, args, vscode.l10n.t('Remove Node'))) {
      if (cluster === LOCAL)
        throw new Error(
          vscode.l10n.t('{0} is this machine itself, which cannot be taken out of it', cluster),
        );
      const usage = queue.view(cluster)?.nodes.find(({ name }) => name === node)?.usage;
      const busy = (usage?.jobs.length ?? 0) > 0;
      const action = busy ? vscode.l10n.t('Drain') : vscode.l10n.t('Remove');
      const answer = await vscode.window.showWarningMessage(
        vscode.l10n.t('Remove node {0} from {1}?', node, cluster),
        {
          modal: true,
          detail: busy
            ? vscode.l10n.t(
                'It has {0}. Drain it, so that nothing new starts there, and remove it when they have ended; or cancel them.',
                usage?.jobs.join(', ') ?? '',
              )
            : vscode.l10n.t('No job runs there. The machine stays as it is.'),
        },
        action,
      );
      if (answer === action) await queue.changeNodes(cluster, busy ? { drain: [node] } : { remove: [node] });
    }
  },
};

/** Add Node…: more machines for a cluster that is there. */
export const addNode: Command = {
  id: 'addNode',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const title = vscode.l10n.t('Add Node');
    const [given] = targets(context, 'cluster', args);
    const cluster = given?.cluster ?? (await pickCluster(context, queue, title));
    if (cluster === undefined) return;
    if (cluster === LOCAL)
      throw new Error(
        vscode.l10n.t('{0} is this machine itself: make a cluster of others with Add Cluster…', cluster),
      );
    const add = await pickHosts(title);
    if (!add || add.length === 0) return;
    const { addNodes } = await import('../control');
    await addNodes(queue, cluster, add, new AbortController().signal);
  },
};

async function change(
  context: CommandContext,
  args: readonly unknown[],
  title: string,
  made: (node: string) => NodesChange,
): Promise<void> {
  const queue = await context.window.open();
  for (const { cluster, node } of await nodesFor(context, queue, args, title))
    await queue.changeNodes(cluster, made(node));
}

/** The nodes a command was called on; asks when it came from the palette and none is selected. */
async function nodesFor(
  context: CommandContext,
  queue: Queue,
  args: readonly unknown[],
  title: string,
): Promise<{ readonly cluster: string; readonly node: string }[]> {
  const given = targets(context, 'node', args);
  if (given.length > 0) return given;
  const all = queue
    .views()
    .flatMap(({ name, nodes }) =>
      nodes.map((node) => ({ label: node.name, description: name, cluster: name, node: node.name })),
    );
  const picked = await vscode.window.showQuickPick(all, { title });
  return picked ? [picked] : [];
}
