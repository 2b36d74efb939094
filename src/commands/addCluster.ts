import * as vscode from 'vscode';
import { isClusterName, type NodeDefinition } from '../cluster';
import { nodesOf, sshHosts } from '../window';
import type { Command, CommandContext } from './context';

/** Makes a cluster of hosts of the ssh config, or of names typed by hand; returns its name. */
export async function addCluster(context: CommandContext): Promise<string | undefined> {
  const title = vscode.l10n.t('Add Cluster');
  const engine = await context.queue.open();
  const nodes = await pickHosts(title);
  if (!nodes || nodes.length === 0) return undefined;
  const taken = new Set(engine.views().map(({ name }) => name));
  const name = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Name of the cluster'),
    value: taken.has('mycluster') ? '' : 'mycluster',
    validateInput: (value) => {
      if (taken.has(value)) return vscode.l10n.t('There is a cluster {0} already.', value);
      return isClusterName(value)
        ? undefined
        : vscode.l10n.t('Begin with a letter; letters, digits, - _ and . may follow.');
    },
  });
  if (name === undefined) return undefined;
  await engine.addCluster({ name, nodes });
  await vscode.commands.executeCommand('clusterQueue.queue.focus');
  return name;
}

async function pickHosts(title: string): Promise<NodeDefinition[] | undefined> {
  const hosts = await sshHosts();
  const other = { label: `$(edit) ${vscode.l10n.t('Other hosts…')}`, host: undefined };
  const picked =
    hosts.length === 0
      ? [other]
      : await vscode.window.showQuickPick([...hosts.map((host) => ({ label: host, host })), other], {
          title,
          canPickMany: true,
          placeHolder: vscode.l10n.t('Tick the hosts of your ssh config that are its nodes'),
        });
  if (!picked) return undefined;
  const names = picked.flatMap(({ host }) => (host === undefined ? [] : [host]));
  if (picked.some(({ host }) => host === undefined)) {
    const typed = await vscode.window.showInputBox({
      title,
      prompt: vscode.l10n.t('Hosts as you would give them to ssh, with spaces between'),
      placeHolder: 'gpu1 alice@10.0.0.7:2222',
    });
    if (typed === undefined) return undefined;
    names.push(...typed.split(/[\s,]+/).filter((word) => word !== ''));
  }
  return nodesOf(names);
}

export const addClusterCommand: Command = {
  id: 'addCluster',
  run: async (context) => {
    await addCluster(context);
  },
};
