import * as vscode from 'vscode';
import { completePools, parsePools, poolFieldHelp, type PoolCompletion } from '../cluster';
import type { KnownGpus } from '../task';
import { rangeOf } from './convert';
import { diagnosticOf } from './diagnostics';

/** What the editor of a node pools file needs to know of the world. */
export interface PoolsDeps {
  readonly knownGpus: () => readonly KnownGpus[];
  /** Hosts that the ssh config names. */
  readonly sshHosts: () => Promise<readonly string[]>;
  /** Absolute path of the user's node pools file. */
  readonly poolsFile: () => string;
}

/** Milliseconds without a keystroke before a file is checked again. */
const QUIET = 150;
const NAME = /[\\/]ssh_node_pools\.ya?ml$/;
const KIND: Readonly<Record<PoolCompletion['kind'], vscode.CompletionItemKind>> = {
  field: vscode.CompletionItemKind.Field,
  value: vscode.CompletionItemKind.Value,
  host: vscode.CompletionItemKind.Reference,
  gpu: vscode.CompletionItemKind.EnumMember,
};

/** Whether a document lists node pools: by SkyPilot's name for such files, or because the settings name it. */
export function isPoolsFile(document: vscode.TextDocument, poolsFile: () => string): boolean {
  if (document.languageId !== 'yaml') return false;
  return NAME.test(document.fileName) || document.fileName === poolsFile();
}

/** Problems, completion, hover and quick fixes of node pools files. */
export function registerPools(deps: PoolsDeps): vscode.Disposable {
  const { languages, workspace } = vscode;
  const collection = languages.createDiagnosticCollection('cluster-queue-pools');
  const waiting = new Map<string, NodeJS.Timeout>();
  const isPools = (document: vscode.TextDocument): boolean => isPoolsFile(document, deps.poolsFile);
  const stopWaiting = ({ uri }: vscode.TextDocument): void => clearTimeout(waiting.get(uri.toString()));
  const check = (document: vscode.TextDocument): void => {
    if (document.isClosed || !isPools(document)) return;
    const { problems } = parsePools(document.getText());
    collection.set(
      document.uri,
      problems.map((problem) => diagnosticOf(document, problem)),
    );
  };
  workspace.textDocuments.forEach(check);
  return vscode.Disposable.from(
    collection,
    new vscode.Disposable(() => {
      for (const timer of waiting.values()) clearTimeout(timer);
    }),
    workspace.onDidOpenTextDocument(check),
    workspace.onDidCloseTextDocument((document) => {
      stopWaiting(document);
      collection.delete(document.uri);
    }),
    workspace.onDidChangeTextDocument(({ document }) => {
      stopWaiting(document);
      waiting.set(
        document.uri.toString(),
        setTimeout(() => check(document), QUIET),
      );
    }),
    languages.registerCompletionItemProvider(
      'yaml',
      {
        async provideCompletionItems(document, position): Promise<vscode.CompletionItem[]> {
          if (!isPools(document)) return [];
          const world = { hosts: await deps.sshHosts(), gpus: deps.knownGpus().map(({ name }) => name) };
          const found = completePools(document.getText(), document.offsetAt(position), world);
          return found.map((completion, index) => itemOf(document, completion, index));
        },
      },
      ' ',
      ':',
      '-',
    ),
    languages.registerHoverProvider('yaml', {
      provideHover(document, position): vscode.Hover | undefined {
        if (!isPools(document)) return undefined;
        const help = poolFieldHelp(document.getText(), document.offsetAt(position));
        if (!help) return undefined;
        const title = help.title.replaceAll('_', '\\_');
        return new vscode.Hover(
          new vscode.MarkdownString(`**${title}**\n\n${help.text}`),
          rangeOf(document, help),
        );
      },
    }),
    languages.registerCodeActionsProvider('yaml', {
      provideCodeActions(document, range): vscode.CodeAction[] {
        if (!isPools(document)) return [];
        return parsePools(document.getText()).problems.flatMap((problem) => {
          if (!rangeOf(document, problem).intersection(range)) return [];
          return (problem.fixes ?? []).map((fix) => {
            const action = new vscode.CodeAction(fix.title, vscode.CodeActionKind.QuickFix);
            action.edit = new vscode.WorkspaceEdit();
            action.edit.replace(document.uri, rangeOf(document, fix), fix.text);
            return action;
          });
        });
      },
    }),
  );
}

function itemOf(
  document: vscode.TextDocument,
  completion: PoolCompletion,
  index: number,
): vscode.CompletionItem {
  const { label, kind, detail, documentation, snippet } = completion;
  const item = new vscode.CompletionItem({ label, description: detail }, KIND[kind]);
  item.insertText = new vscode.SnippetString(snippet);
  item.range = rangeOf(document, completion);
  item.sortText = String(index).padStart(3, '0');
  item.filterText = label;
  if (documentation !== undefined) item.documentation = new vscode.MarkdownString(documentation);
  return item;
}
