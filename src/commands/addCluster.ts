import os from 'node:os';
import * as vscode from 'vscode';
import { isClusterName, nodesOfPool, type NodeDefinition, type Pool } from '../cluster';
import type { Queue } from '../control';
import { nodesOf } from '../control/nodes';
import { faultWords, readPools } from '../control/pools';
import { readSettings, sshHosts } from '../window';
import type { Command, CommandContext } from './context';

/** Makes a cluster of hosts of node pools and of the ssh config, or of names typed by hand; returns its name. */
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
  const taken = new Set(queue.views().map(({ name }) => name.toLowerCase()));
  return vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Name of the cluster'),
    value: taken.has('mycluster') ? '' : 'mycluster',
    validateInput: (value) => {
      if (taken.has(value.toLowerCase())) return vscode.l10n.t('There is a cluster {0} already.', value);
      return isClusterName(value)
        ? undefined
        : vscode.l10n.t('Begin with a letter; letters, digits, - _ and . may follow.');
    },
  });
}

interface HostItem extends vscode.QuickPickItem {
  /** Absent: names are typed by hand. */
  readonly nodes?: readonly NodeDefinition[];
}

/**
 * Asks for hosts: pools, hosts of the ssh config, this machine, or names; pools named `ticked` are so at first. Undefined: the
 * user changed their mind.
 */
export async function pickHosts(
  title: string,
  placeHolder = vscode.l10n.t('Tick the machines that are its nodes'),
  ticked: readonly string[] = [],
): Promise<NodeDefinition[] | undefined> {
  const { nodePools } = readSettings();
  const [pools, hosts] = await Promise.all([poolsOf(nodePools), sshHosts()]);
  const picked = await vscode.window.showQuickPick<HostItem>(
    [
      ...group(
        vscode.l10n.t('Node pools'),
        pools.map((pool) => ({
          label: `$(server-environment) ${pool.name}`,
          description: pool.hosts.map(hostWords).join(', '),
          nodes: nodesOfPool(pool, nodePools),
          picked: ticked.includes(pool.name),
        })),
      ),
      ...group(
        vscode.l10n.t('Hosts of the ssh config'),
        nodesOf(hosts).map((node) => ({ label: `$(server) ${node.name}`, nodes: [node] })),
      ),
      ...group(vscode.l10n.t('Others'), [
        {
          label: `$(vm) ${vscode.l10n.t('This machine')}`,
          description: os.hostname(),
          nodes: [{ name: os.hostname() }],
        },
        { label: `$(edit) ${vscode.l10n.t('Other hosts…')}` },
      ]),
    ],
    {
      title,
      canPickMany: true,
      matchOnDescription: true,
      placeHolder,
    },
  );
  if (!picked) return undefined;
  const nodes = picked.flatMap((item) => item.nodes ?? []);
  if (picked.some((item) => item.nodes === undefined)) {
    const typed = await vscode.window.showInputBox({
      title,
      prompt: vscode.l10n.t('Hosts as you would give them to ssh, with spaces between'),
      placeHolder: 'gpu1 alice@10.0.0.7:2222',
    });
    if (typed === undefined) return undefined;
    nodes.push(...nodesOf(typed.split(/[\s,]+/).filter((word) => word !== '')));
  }
  // A host that was ticked by itself and in a pool is one node.
  return [...new Map(nodes.map((node) => [node.name, node])).values()];
}

function group(label: string, items: HostItem[]): HostItem[] {
  return items.length === 0 ? [] : [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items];
}

function hostWords({ ip, gpus }: Pool['hosts'][number]): string {
  return gpus ? `${ip} (${gpus.count} × ${gpus.name})` : ip;
}

/** The pools of the user's file that can be used; what is wrong with the others, or with the file, is said. */
async function poolsOf(file: string): Promise<readonly Pool[]> {
  try {
    const read = await readPools(file);
    for (const words of faultWords(read)) warnOf(file, words);
    return read.pools;
  } catch (error) {
    warnOf(file, error instanceof Error ? error.message : String(error));
    return [];
  }
}

function warnOf(file: string, words: string): void {
  const open = vscode.l10n.t('Open File');
  void vscode.window.showWarningMessage(words, open).then((answer) => {
    if (answer === open) void vscode.commands.executeCommand('vscode.open', vscode.Uri.file(file));
  });
}

export const addClusterCommand: Command = {
  id: 'addCluster',
  run: async (context) => {
    await addCluster(context);
  },
};
