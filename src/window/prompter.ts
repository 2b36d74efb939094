import * as vscode from 'vscode';
import type { Prompter } from '../transport';
import { SecretKeeper, type KeepAnswer, type SecretName } from './secretKeeper';

/** The passphrases and passwords that this person's VS Code keeps. */
export function keeperOf(context: Pick<vscode.ExtensionContext, 'secrets' | 'globalState'>): SecretKeeper {
  return new SecretKeeper(context.secrets, context.globalState, {
    ask: (name, node, refused) => input(titleOf(name), promptOf(name, node, refused), true),
    offer,
    failed: (error) => {
      const words = error instanceof Error ? error.message : String(error);
      void vscode.window.showErrorMessage(vscode.l10n.t("VS Code's secret storage: {0}", words));
    },
  });
}

/** Asks the person in this window what only they know while a connection is made. */
export function windowPrompter(keeper: SecretKeeper): Prompter {
  return {
    passphrase: (file, node) => keeper.give({ kind: 'passphrase', file }, node),
    password: (user, node) => keeper.give({ kind: 'password', user, node }, node),
    answer: (node, question, echo) => input(vscode.l10n.t('{0} asks', node), question, !echo),
    async trustHost(node, keyType, fingerprint) {
      const trust = vscode.l10n.t('Trust and Connect');
      const answer = await vscode.window.showWarningMessage(
        vscode.l10n.t('Trust the host key of {0}?', node),
        {
          modal: true,
          detail: vscode.l10n.t(
            'This machine has not connected to {0} before. Its key ({1}) has the fingerprint\n{2}\nCompare it with what its owner says. If you trust it, it is added to known_hosts.',
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
}

function titleOf(name: SecretName): string {
  return name.kind === 'passphrase'
    ? vscode.l10n.t('Passphrase of {0}', name.file)
    : vscode.l10n.t('Password of {0} on {1}', name.user, name.node);
}

function promptOf(name: SecretName, node: string, refused: boolean): string {
  const words =
    name.kind === 'passphrase'
      ? vscode.l10n.t(
          'Needed to log in to {0}. The key stays open while the queue does; the passphrase is kept only if you agree when it has worked.',
          node,
        )
      : vscode.l10n.t('It is kept only if you agree when it has worked.');
  return refused ? `${vscode.l10n.t('The kept one was refused and is forgotten.')} ${words}` : words;
}

async function offer(name: SecretName): Promise<KeepAnswer> {
  const yes = vscode.l10n.t('Yes');
  const no = vscode.l10n.t('No');
  const never =
    name.kind === 'passphrase' ? vscode.l10n.t('Never for This Key') : vscode.l10n.t('Never for This Host');
  const words =
    name.kind === 'passphrase'
      ? vscode.l10n.t("Keep the passphrase of {0} in VS Code's secret storage?", name.file)
      : vscode.l10n.t("Keep the password of {0} on {1} in VS Code's secret storage?", name.user, name.node);
  const answer = await vscode.window.showInformationMessage(words, yes, never, no);
  return answer === yes ? 'keep' : answer === never ? 'never' : answer === no ? 'no' : undefined;
}

async function input(title: string, prompt: string, password: boolean): Promise<string | undefined> {
  return vscode.window.showInputBox({ title, prompt, password, ignoreFocusOut: true });
}
