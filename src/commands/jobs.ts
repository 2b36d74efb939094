import * as vscode from 'vscode';
import { userName } from '../control/home';
import { newestFile } from '../engine/logParts';
import { isFinished } from '../queue';
import type { JobElement } from '../views';
import { targets, type Command, type CommandContext } from './context';
import { warnOfLacks } from './exec';
import { pickJob } from './pick';

/** The jobs a command was called on; asks when it came from the palette and nothing is selected. */
async function chosen(
  context: CommandContext,
  args: readonly unknown[],
  title: string,
  live: boolean,
): Promise<Pick<JobElement, 'cluster' | 'id'>[]> {
  const given = targets(context, 'job', args);
  if (given.length > 0) return given;
  const picked = await pickJob(await context.window.open(), title, live);
  return picked ? [picked] : [];
}

export const cancelJob: Command = {
  id: 'cancelJob',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster, id } of await chosen(context, args, vscode.l10n.t('Cancel Job'), true))
      await queue.cancel(cluster, [id]);
  },
};

export const showLog: Command = {
  id: 'showLog',
  run: async (context, ...args) => {
    const [job] = await chosen(context, args, vscode.l10n.t('Show Log'), false);
    if (job) await context.logs.show(job.cluster, job.id);
  },
};

export const openLogFile: Command = {
  id: 'openLogFile',
  run: async (context, ...args) => {
    const [job] = await chosen(context, args, vscode.l10n.t('Open Whole Log'), false);
    if (!job) return;
    // The channel keeps the file growing; opening it first makes sure that the file is there.
    await context.logs.show(job.cluster, job.id);
    const queue = await context.window.open();
    await vscode.commands.executeCommand(
      'vscode.open',
      vscode.Uri.file(newestFile(queue.logFile(queue.job(job.cluster, job.id).record))),
    );
  },
};

export const runAgain: Command = {
  id: 'runAgain',
  run: async (context, ...args) => {
    if (!vscode.workspace.isTrusted)
      throw new Error(
        vscode.l10n.t('Trust this folder first: tasks are not run on clusters from an untrusted one.'),
      );
    const queue = await context.window.open();
    for (const { cluster, id } of await chosen(context, args, vscode.l10n.t('Run Again'), false)) {
      const record = await queue.runAgain(cluster, id, userName());
      warnOfLacks(record);
      void vscode.window.showInformationMessage(vscode.l10n.t('job {0} queued on {1}', record.id, cluster));
      await context.logs.show(cluster, record.id);
    }
  },
};

export const copyId: Command = {
  id: 'copyJobId',
  run: async (context, ...args) => {
    const jobs = await chosen(context, args, vscode.l10n.t('Copy Job Id'), false);
    if (jobs.length > 0) await vscode.env.clipboard.writeText(jobs.map(({ id }) => id).join(' '));
  },
};

export const showOlder: Command = {
  id: 'showOlder',
  run: (context, ...args) => {
    for (const { cluster } of targets(context, 'more', args)) context.tree.showOlder(cluster);
  },
};

/** The button that cancels so many jobs. */
export function cancelWords(count: number): string {
  return count === 1 ? vscode.l10n.t('Cancel 1 Job') : vscode.l10n.t('Cancel {0} Jobs', count);
}

export const cancelAll: Command = {
  id: 'cancelAll',
  run: async (context, ...args) => {
    const queue = await context.window.open();
    for (const { cluster } of targets(context, 'cluster', args)) {
      const live = queue
        .jobs(cluster, Number.MAX_SAFE_INTEGER)
        .filter(({ record }) => !isFinished(record.status)).length;
      if (live === 0) {
        void vscode.window.showInformationMessage(vscode.l10n.t('No job waits or runs on {0}.', cluster));
        continue;
      }
      const yes = cancelWords(live);
      const answer = await vscode.window.showWarningMessage(
        vscode.l10n.t('Cancel all jobs on {0}?', cluster),
        { modal: true },
        yes,
      );
      if (answer === yes) await queue.cancel(cluster, 'all');
    }
  },
};
