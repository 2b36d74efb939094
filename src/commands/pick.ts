import * as vscode from 'vscode';
import type { Queue } from '../control';
import { addCluster } from './addCluster';
import { clusterSummary } from '../views';
import type { CommandContext } from './context';

/** Asks for a cluster when there is more than one. Undefined: the user changed their mind. */
export async function pickCluster(
  context: CommandContext,
  queue: Queue,
  title: string,
): Promise<string | undefined> {
  const views = queue.views();
  const [only] = views;
  if (only && views.length === 1) return only.name;
  const add = { label: `$(add) ${vscode.l10n.t('Add Cluster…')}`, name: undefined };
  const picked = await vscode.window.showQuickPick(
    [...views.map((view) => ({ label: view.name, description: clusterSummary(view), name: view.name })), add],
    { title, placeHolder: vscode.l10n.t('Cluster') },
  );
  if (picked === add) return addCluster(context);
  return picked?.name;
}

/** Asks for a job of any cluster, for a job command that was called from the palette. */
export async function pickJob(
  queue: Queue,
  title: string,
  live: boolean,
): Promise<{ cluster: string; id: number } | undefined> {
  const jobs = queue.views().flatMap(({ name }) => queue.jobs(name, 100));
  const shown = live ? jobs.filter(({ record }) => record.endedAt === undefined) : jobs;
  if (shown.length === 0) {
    void vscode.window.showInformationMessage(
      live ? vscode.l10n.t('No job waits or runs.') : vscode.l10n.t('There is no job yet.'),
    );
    return undefined;
  }
  const picked = await vscode.window.showQuickPick(
    shown.map(({ record }) => ({
      label: `${record.id} ${record.name}`,
      description: `${record.cluster} · ${record.status}`,
      job: { cluster: record.cluster, id: record.id },
    })),
    { title },
  );
  return picked?.job;
}
