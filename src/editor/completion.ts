import * as vscode from 'vscode';
import { complete, type Completion, type KnownGpus } from '../task';
import { rangeOf } from './convert';
import { isServedByYamlExtension } from './otherYaml';
import type { TaskDocuments } from './taskDocuments';

const KIND: Readonly<Record<Completion['kind'], vscode.CompletionItemKind>> = {
  field: vscode.CompletionItemKind.Field,
  value: vscode.CompletionItemKind.Value,
  gpu: vscode.CompletionItemKind.EnumMember,
};

/** Fields and values of task files; GPUs of the known clusters first. */
export class TaskCompletion implements vscode.CompletionItemProvider {
  /** What brings the list up beside letters. */
  static readonly triggers = [' ', ':', '[', '{', ','] as const;

  constructor(
    private readonly documents: TaskDocuments,
    private readonly knownGpus: () => readonly KnownGpus[],
  ) {}

  provideCompletionItems(document: vscode.TextDocument, position: vscode.Position): vscode.CompletionItem[] {
    if (!this.documents.isTask(document) || isServedByYamlExtension(document)) return [];
    return complete(document.getText(), document.offsetAt(position), this.knownGpus()).map((completion) =>
      itemOf(document, completion),
    );
  }
}

function itemOf(document: vscode.TextDocument, completion: Completion): vscode.CompletionItem {
  const { label, kind, detail, documentation, snippet, order } = completion;
  const item = new vscode.CompletionItem({ label, description: detail }, KIND[kind]);
  item.insertText = new vscode.SnippetString(snippet);
  item.range = rangeOf(document, completion);
  item.sortText = order;
  item.filterText = label;
  if (documentation !== undefined) item.documentation = new vscode.MarkdownString(documentation);
  // After `accelerators:` the next question is which, after `use_spot:` whether.
  if (completion.leadsOn) {
    item.command = { command: 'editor.action.triggerSuggest', title: '' };
  }
  return item;
}
