import * as vscode from 'vscode';
import { readSettings } from '../window';
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

export const removeCluster: Command = {
  id: 'removeCluster',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster } of targets(context, 'cluster', args)) await queue.removeCluster(cluster);
  },
};

export const openTerminal: Command = {
  id: 'openTerminal',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const node = await chooseNode(context, queue, args);
    if (!node) return;
    const { sshConfigFile } = readSettings();
    const terminal =
      node.destination === undefined
        ? vscode.window.createTerminal({ name: node.name })
        : vscode.window.createTerminal({
            name: node.name,
            shellPath: 'ssh',
            shellArgs: [
              ...(sshConfigFile === undefined ? [] : ['-F', sshConfigFile]),
              '--',
              sshTarget(node.destination),
            ],
            iconPath: new vscode.ThemeIcon('server'),
          });
    terminal.show();
  },
};

/** `user@host:port` is ours; ssh itself takes a port only in a URL. */
function sshTarget(destination: string): string {
  return /:\d+$/.test(destination) && !destination.startsWith('ssh://')
    ? `ssh://${destination}`
    : destination;
}

async function chooseNode(
  context: CommandContext,
  queue: Queue,
  args: readonly unknown[],
): Promise<{ name: string; destination?: string } | undefined> {
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
