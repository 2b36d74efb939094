import * as vscode from 'vscode';
import type { Received } from '../engine';
import { bytesWords, filesWords } from '../queue';
import type { JobElement } from '../views';
import { targets, type Command } from './context';
import { pickJob } from './pick';

/** Fetch Outputs…: files from a job's working directory, into a folder of the user's choice. */
export const fetchOutputs: Command = {
  id: 'fetchOutputs',
  run: async (context, ...args) => {
    const title = vscode.l10n.t('Fetch Outputs');
    const queue = await context.window.open();
    const given: Pick<JobElement, 'cluster' | 'id'>[] = targets(context, 'job', args).slice(0, 1);
    const job = given[0] ?? (await pickJob(queue, title, false));
    if (!job) return;
    const { cluster, id } = job;
    const text = await vscode.window.showInputBox({
      title: vscode.l10n.t('Fetch Outputs of Job {0} on {1}', id, cluster),
      prompt: vscode.l10n.t('What to fetch from the job’s folder: patterns, with spaces between them'),
      placeHolder: 'outputs/*.pt logs',
      value: '*',
      ignoreFocusOut: true,
      validateInput: (value) =>
        value.trim() === '' ? vscode.l10n.t('Write at least one pattern, e.g. *') : undefined,
    });
    if (text === undefined) return;
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const [to] =
      (await vscode.window.showOpenDialog({
        title: vscode.l10n.t('Folder for the outputs of job {0}', id),
        canSelectFiles: false,
        canSelectFolders: true,
        openLabel: vscode.l10n.t('Fetch Into This Folder'),
        ...(folder ? { defaultUri: folder } : {}),
      })) ?? [];
    if (!to) return;
    const request = { cluster, id, patterns: text.trim().split(/\s+/), to: to.fsPath };
    const abort = new AbortController();
    const received = await vscode.window.withProgress(
      {
        location: vscode.ProgressLocation.Notification,
        title: vscode.l10n.t('Fetching outputs of job {0}', id),
        cancellable: true,
      },
      async (progress, token): Promise<Received | undefined> => {
        token.onCancellationRequested(() => abort.abort());
        let shown = 0;
        try {
          return await queue.fetch(request, {
            signal: abort.signal,
            progress: ({ files, bytes, totalBytes }) => {
              const share = totalBytes === 0 ? 0 : Math.min(99, (bytes / totalBytes) * 100);
              progress.report({
                increment: Math.max(0, share - shown),
                message: `${bytesWords(bytes)}, ${filesWords(files)}`,
              });
              shown = Math.max(shown, share);
            },
          });
        } catch (error) {
          if (abort.signal.aborted) return undefined;
          throw error;
        }
      },
    );
    if (!received) return;
    for (const words of received.skipped) context.log.warn(`fetch of job ${id}: left out ${words}`);
    const reveal = vscode.l10n.t('Open Folder');
    const answer = await vscode.window.showInformationMessage(
      vscode.l10n.t(
        received.files === 1 ? '{0} ({1}) of job {2} is in {3}' : '{0} ({1}) of job {2} are in {3}',
        filesWords(received.files),
        bytesWords(received.bytes),
        id,
        to.fsPath,
      ),
      reveal,
    );
    if (answer === reveal) await vscode.commands.executeCommand('revealFileInOS', to);
  },
};
