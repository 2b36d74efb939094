import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import { newestFile } from '../engine/logParts';
import { age, type JobRecord } from '../queue';
import { targets, type Command } from './context';
import { pickCluster } from './pick';

// A list that a person can still filter by typing.
const SHOWN = 10_000;

export const showArchived: Command = {
  id: 'showArchived',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    const title = vscode.l10n.t('Archived Jobs');
    const [element] = targets(context, 'archive', args);
    const cluster = element?.cluster ?? (await pickCluster(context, queue, title));
    if (cluster === undefined) return;
    const views = await queue.archived(cluster, SHOWN);
    if (views.length === 0) {
      void vscode.window.showInformationMessage(vscode.l10n.t('No job of {0} is archived.', cluster));
      return;
    }
    const picked = await vscode.window.showQuickPick(
      views.map(({ record }) => ({
        label: `${record.id} ${record.name}`,
        description: description(record),
        record,
      })),
      { title, placeHolder: vscode.l10n.t('Show the log of an archived job'), matchOnDescription: true },
    );
    if (!picked) return;
    const file = queue.logFile(picked.record);
    if (!existsSync(file)) {
      throw new Error(
        vscode.l10n.t(
          'Job {0} is archived without its log, which was never brought from its node.',
          picked.record.id,
        ),
      );
    }
    await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(newestFile(file)));
  },
};

function description({ status, endedAt, spec }: JobRecord): string {
  const ended = endedAt === undefined ? [] : [age(Date.now() - endedAt)];
  return [spec.resources, status, ...ended].join(' · ');
}
