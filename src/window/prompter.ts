import * as vscode from 'vscode';
import type { Prompter } from '../transport';

/** Asks the person in this window what only they know while a connection is made. */
export const windowPrompter: Prompter = {
  passphrase: (file, node) =>
    input(
      vscode.l10n.t('Passphrase of {0}', file),
      vscode.l10n.t('Needed to log in to {0}. It is not kept.', node),
      true,
    ),
  password: (user, node) =>
    input(vscode.l10n.t('Password of {0} on {1}', user, node), vscode.l10n.t('It is not kept.'), true),
  answer: (node, question, echo) => input(vscode.l10n.t('{0} asks', node), question, !echo),
  async trustHost(node, keyType, fingerprint) {
    const trust = vscode.l10n.t('Trust and Connect');
    const answer = await vscode.window.showWarningMessage(
      vscode.l10n.t('{0} is a machine this one has not met.', node),
      {
        modal: true,
        detail: vscode.l10n.t(
          'Its {0} key has the fingerprint\n{1}\nCompare it with what the machine’s owner says. If you trust it, it is added to known_hosts.',
          keyType,
          fingerprint,
        ),
      },
      trust,
    );
    return answer === trust;
  },
};

async function input(title: string, prompt: string, password: boolean): Promise<string | undefined> {
  return vscode.window.showInputBox({ title, prompt, password, ignoreFocusOut: true });
}
