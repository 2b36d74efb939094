import * as vscode from 'vscode';
import type { NodeDefinition } from '../cluster';
import { settled, until } from '../control/waiting';
import { queueWords } from '../queue';
import { inSshConfig, sshTerminalArguments } from '../window';
import { targets, type Command, type CommandContext } from './context';
import type { Queue } from '../control';

export const refresh: Command = {
  id: 'refresh',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const given = targets(context, 'cluster', args).map(({ cluster }) => cluster);
    const names = given.length > 0 ? given : queue.views().map(({ name }) => name);
    await vscode.window.withProgress({ location: { viewId: 'clusterQueue.queue' } }, async () => {
      await Promise.all(names.map((name) => queue.refresh(name)));
    });
  },
};

export const showExtensionLog: Command = { id: 'showExtensionLog', run: ({ log }) => log.show() };

/** Take Cluster Down…: asks, cancels what waits and runs, waits for the end, and takes the cluster off the list. */
export const removeCluster: Command = {
  id: 'removeCluster',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster } of targets(context, 'cluster', args)) await takeDown(queue, cluster);
  },
};

async function takeDown(queue: Queue, cluster: string): Promise<void> {
  const { pending = 0, running = 0 } = queue.view(cluster) ?? {};
  const down = vscode.l10n.t('Take Down');
  const detail =
    pending + running === 0
      ? vscode.l10n.t('No job waits or runs there. What the agent left on its machines is removed.')
      : vscode.l10n.t(
          'There are jobs ({0}): they are cancelled first. What the agent left on its machines is removed.',
          queueWords(running, pending),
        );
  const answer = await vscode.window.showWarningMessage(
    vscode.l10n.t('Take cluster {0} down?', cluster),
    { modal: true, detail },
    down,
  );
  if (answer !== down) return;
  await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t('Taking {0} down: waiting for its jobs to end', cluster),
      cancellable: true,
    },
    async (_progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      await queue.cancel(cluster, 'all');
      const isIdle = (): boolean => {
        const { pending = 0, running = 0 } = queue.view(cluster) ?? {};
        return pending + running === 0;
      };
      if (!(await until(queue, isIdle, abort.signal))) return;
      // What its agent left there goes with it, where there is a connection.
      await settled(queue, [cluster], abort.signal);
      if (abort.signal.aborted) return;
      await queue.removeCluster(cluster);
    },
  );
}

export const openTerminal: Command = {
  id: 'openTerminal',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const node = await chooseNode(context, queue, args);
    if (!node) return;
    const terminal =
      node.destination === undefined
        ? vscode.window.createTerminal({ name: node.name })
        : vscode.window.createTerminal({
            name: node.name,
            shellPath: 'ssh',
            shellArgs: await sshTerminalArguments(node.destination, node.login),
            iconPath: new vscode.ThemeIcon('server'),
          });
    terminal.show();
  },
};

/** Open in Remote-SSH: a window on the node, by the extension of that name; its menu shows only where that is there. */
export const openRemote: Command = {
  id: 'openRemote',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const node = await chooseNode(context, queue, args);
    if (node?.destination === undefined) return;
    const user = node.login?.user;
    const { destination } = node;
    const named = user !== undefined && !destination.includes('@') && !(await inSshConfig(destination));
    await vscode.commands.executeCommand('vscode.newWindow', {
      remoteAuthority: `ssh-remote+${named ? `${user}@` : ''}${destination}`,
    });
  },
};

async function chooseNode(
  context: CommandContext,
  queue: Queue,
  args: readonly unknown[],
): Promise<NodeDefinition | undefined> {
  const [given] = targets(context, 'node', args);
  if (given) return queue.definition(given.cluster).nodes.find(({ name }) => name === given.node);
  const clusters = targets(context, 'cluster', args).map(({ cluster }) => cluster);
  const names = clusters.length > 0 ? clusters : queue.views().map(({ name }) => name);
  const nodes = names.flatMap((cluster) =>
    queue.definition(cluster).nodes.map((node) => ({ label: node.name, description: cluster, node })),
  );
  if (nodes.length <= 1) return nodes[0]?.node;
  const picked = await vscode.window.showQuickPick(nodes, { title: vscode.l10n.t('Open Terminal on Node') });
  return picked?.node;
}
