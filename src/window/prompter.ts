import * as vscode from 'vscode';
import type { Prompter } from '../transport';

/** Asks the person in this window what only they know while a connection is made. */
export const windowPrompter: Prompter = {
  passphrase: (file, node) =>
    input(
      vscode.l10n.t('Passphrase of {0}', file),
      vscode.l10n.t(
        'Needed to log in to {0}. The key stays open until this window closes; nothing is written down.',
        node,
      ),
      true,
    ),
  password: (user, node) =>
    input(vscode.l10n.t('Password of {0} on {1}', user, node), vscode.l10n.t('It is not kept.'), true),
  answer: (node, question, echo) => input(vscode.l10n.t('{0} asks', node), question, !echo),
  async trustHost(node, keyType, fingerprint) {
    const trust = vscode.l10n.t('Trust and Connect');
    const answer = await vscode.window.showWarningMessage(
      vscode.l10n.t('Trust the host key of {0}?', node),
      {
        modal: true,
        detail: vscode.l10n.t(
          'This machine has not connected to {0} before. It offers a {1} key with the fingerprint\n{2}\nCompare it with what its owner says. If you trust it, it is added to known_hosts.',
          node,
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
