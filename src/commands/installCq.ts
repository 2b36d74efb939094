import * as vscode from 'vscode';
import { installCq } from '../window';
import type { Command } from './context';

/** Install cq Command: for shells outside VS Code; its own terminals have it. */
export const installCqCommand: Command = {
  id: 'installCq',
  run: async ({ cq }) => {
    const link = await installCq(await cq);
    void vscode.window.showInformationMessage(
      vscode.l10n.t(
        'cq is now at {0}. Terminals of VS Code have it anyway; other shells need that folder on their PATH.',
        link,
      ),
    );
  },
};
