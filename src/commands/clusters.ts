import * as vscode from 'vscode';
import { readSettings } from '../window';
import { targets, type Command, type CommandContext } from './context';
import type { Engine } from '../engine';

export const refresh: Command = {
  id: 'refresh',
  run: async (context, ...args) => {
    const engine = await context.queue.open();
    const given = targets(context, 'cluster', args).map(({ cluster }) => cluster);
    const names = given.length > 0 ? given : engine.views().map(({ name }) => name);
    await vscode.window.withProgress({ location: { viewId: 'clusterQueue.queue' } }, async () => {
      await Promise.all(names.map((name) => engine.refresh(name)));
    });
  },
};

export const showExtensionLog: Command = { id: 'showExtensionLog', run: ({ log }) => log.show() };

export const removeCluster: Command = {
  id: 'removeCluster',
  run: async (context, ...args) => {
    const engine = await context.queue.open();
    for (const { cluster } of targets(context, 'cluster', args)) await engine.removeCluster(cluster);
  },
};

export const openTerminal: Command = {
  id: 'openTerminal',
  run: async (context, ...args) => {
    const engine = await context.queue.open();
    const node = await chooseNode(context, engine, args);
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
  engine: Engine,
  args: readonly unknown[],
): Promise<{ name: string; destination?: string } | undefined> {
  const [given] = targets(context, 'node', args);
  if (given) return engine.definition(given.cluster).nodes.find(({ name }) => name === given.node);
  const clusters = targets(context, 'cluster', args).map(({ cluster }) => cluster);
  const names = clusters.length > 0 ? clusters : engine.views().map(({ name }) => name);
  const nodes = names.flatMap((cluster) =>
    engine.definition(cluster).nodes.map((node) => ({ label: node.name, description: cluster, node })),
  );
  if (nodes.length <= 1) return nodes[0]?.node;
  const picked = await vscode.window.showQuickPick(nodes, { title: vscode.l10n.t('Open Terminal on Node') });
  return picked?.node;
}
