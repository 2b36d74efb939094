import * as vscode from 'vscode';
import type { JobStatus } from '../queue';
import { STATUS_ICONS } from '../window';

const COLOURS: Readonly<Partial<Record<JobStatus, string>>> = {
  RUNNING: 'charts.blue',
  SUCCEEDED: 'testing.iconPassed',
  FAILED: 'testing.iconFailed',
  FAILED_SETUP: 'testing.iconFailed',
  CANCELLED: 'disabledForeground',
  LOST: 'testing.iconErrored',
};

/** The icon of a job's status, in the theme's own colours. */
export function statusIcon(status: JobStatus): vscode.ThemeIcon {
  const colour = COLOURS[status];
  return new vscode.ThemeIcon(
    STATUS_ICONS[status],
    colour === undefined ? undefined : new vscode.ThemeColor(colour),
  );
}
