import * as vscode from 'vscode';
import type { Command } from './context';

/** Forget Kept Passwords: also for what the person said that nothing is ever to be kept. */
export const forgetPasswords: Command = {
  id: 'forgetPasswords',
  run: async ({ keeper }) => {
    const count = await keeper.forgetAll();
    void vscode.window.showInformationMessage(
      count === 0
        ? vscode.l10n.t('No password or passphrase was kept.')
        : count === 1
          ? vscode.l10n.t('One kept password or passphrase is forgotten.')
          : vscode.l10n.t('{0} kept passwords and passphrases are forgotten.', count),
    );
  },
};
