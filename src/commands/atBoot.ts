import * as vscode from 'vscode';
import type { Queue } from '../control';
import type { NodeAtBoot } from '../engine';
import { targets, type Command } from './context';
import { pickCluster } from './pick';

/** Resume Jobs After a Reboot…: asks, has it installed on the cluster's nodes or removed, and says of each what came of it. */
export const resumeAtBoot: Command = {
  id: 'resumeAtBoot',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const [given] = targets(context, 'cluster', args);
    const cluster =
      given?.cluster ?? (await pickCluster(context, queue, vscode.l10n.t('Resume Jobs After a Reboot')));
    if (cluster === undefined) return;
    const install = vscode.l10n.t('Install');
    const remove = vscode.l10n.t('Remove');
    const answer = await vscode.window.showInformationMessage(
      vscode.l10n.t('Let the nodes of {0} start what waits there after a reboot?', cluster),
      {
        modal: true,
        detail: vscode.l10n.t(
          'Without this, jobs that wait on a node that was restarted start when a window or cq connects to it. What is installed on each node is a line @reboot in your crontab, or a user unit of systemd where there is no cron.',
        ),
      },
      install,
      remove,
    );
    if (answer === undefined) return;
    tell(await change(queue, cluster, answer === install));
  },
};

async function change(queue: Queue, cluster: string, on: boolean): Promise<NodeAtBoot[]> {
  const location = vscode.ProgressLocation.Notification;
  const title = vscode.l10n.t('Changing what the nodes of {0} do after a reboot', cluster);
  return vscode.window.withProgress({ location, title }, () => queue.resumeAtBoot(cluster, on));
}

function tell(nodes: readonly NodeAtBoot[]): void {
  const words = nodes.map((node) => `${node.node}: ${wordsOf(node)}`).join('; ');
  if (nodes.some((node) => 'trouble' in node)) void vscode.window.showErrorMessage(words);
  else if (nodes.some((node) => 'way' in node && node.way === 'idle'))
    void vscode.window.showWarningMessage(words);
  else void vscode.window.showInformationMessage(words);
}

function wordsOf(node: NodeAtBoot): string {
  if ('trouble' in node) return node.trouble;
  switch (node.way) {
    case 'cron':
      return vscode.l10n.t('a line of the crontab starts what waits there');
    case 'idle':
      return vscode.l10n.t(
        'a line of the crontab would start what waits there, but no cron was seen that runs it',
      );
    case 'systemd':
      return vscode.l10n.t('a user unit of systemd starts what waits there');
    case 'removed':
      return vscode.l10n.t('nothing is started at boot any more');
    case 'kept':
    case 'none':
      return vscode.l10n.t('nothing was installed');
  }
}
