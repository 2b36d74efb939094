import * as vscode from 'vscode';
import { outline, type OutlineItem } from '../task';
import { rangeOf } from './convert';
import { hasYamlExtension } from './otherYaml';
import type { TaskDocuments } from './taskDocuments';

const KIND: Readonly<Record<OutlineItem['kind'], vscode.SymbolKind>> = {
  document: vscode.SymbolKind.Module,
  mapping: vscode.SymbolKind.Object,
  list: vscode.SymbolKind.Array,
  script: vscode.SymbolKind.Function,
  value: vscode.SymbolKind.Property,
};

/** The outline of a task file, and its breadcrumbs. */
export class TaskSymbols implements vscode.DocumentSymbolProvider {
  constructor(private readonly documents: TaskDocuments) {}

  provideDocumentSymbols(document: vscode.TextDocument): vscode.DocumentSymbol[] {
    if (!this.documents.isTask(document)) return [];
    if (document.languageId === 'yaml' && hasYamlExtension()) return [];
    return outline(document.getText()).map((item) => symbolOf(document, item));
  }
}

function symbolOf(document: vscode.TextDocument, item: OutlineItem): vscode.DocumentSymbol {
  const symbol = new vscode.DocumentSymbol(
    item.name,
    item.detail,
    KIND[item.kind],
    rangeOf(document, item),
    rangeOf(document, item.nameSpan),
  );
  symbol.children = item.children.map((child) => symbolOf(document, child));
  return symbol;
}
