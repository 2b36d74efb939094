import * as vscode from 'vscode';
import type { JobStatus } from '../queue';

const ICONS: Readonly<Record<JobStatus, readonly [icon: string, colour: string | undefined]>> = {
  PENDING: ['clock', undefined],
  SETTING_UP: ['loading~spin', undefined],
  RUNNING: ['sync~spin', 'charts.blue'],
  SUCCEEDED: ['pass', 'testing.iconPassed'],
  FAILED: ['error', 'testing.iconFailed'],
  FAILED_SETUP: ['error', 'testing.iconFailed'],
  CANCELLED: ['circle-slash', 'disabledForeground'],
  LOST: ['question', 'testing.iconErrored'],
};

/** The icon of a job's status, in the theme's own colours. */
export function statusIcon(status: JobStatus): vscode.ThemeIcon {
  const [icon, colour] = ICONS[status];
  return new vscode.ThemeIcon(icon, colour === undefined ? undefined : new vscode.ThemeColor(colour));
}
