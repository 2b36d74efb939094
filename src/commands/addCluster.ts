import * as vscode from 'vscode';
import { isClusterName, type NodeDefinition } from '../cluster';
import { nodesOf, type Queue } from '../control';
import { sshHosts } from '../window';
import type { Command, CommandContext } from './context';

/** Makes a cluster of hosts of the ssh config, or of names typed by hand; returns its name. */
export async function addCluster(context: CommandContext): Promise<string | undefined> {
  const title = vscode.l10n.t('Add Cluster');
  const queue = await context.window.open();
  const nodes = await pickHosts(title);
  if (!nodes || nodes.length === 0) return undefined;
  const name = await askClusterName(queue, title);
  if (name === undefined) return undefined;
  await queue.addCluster({ name, nodes });
  await vscode.commands.executeCommand('clusterQueue.queue.focus');
  return name;
}

/** Asks for the name of a new cluster. */
export function askClusterName(queue: Queue, title: string): Thenable<string | undefined> {
  const taken = new Set(queue.views().map(({ name }) => name));
  return vscode.window.showInputBox({
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
}

/** Asks for the hosts of a new cluster. Undefined: the user changed their mind. */
export async function pickHosts(title: string): Promise<NodeDefinition[] | undefined> {
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
