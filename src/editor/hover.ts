import * as vscode from 'vscode';
import { fieldHelp } from '../task';
import { rangeOf } from './convert';
import { isServedByYamlExtension } from './otherYaml';
import type { TaskDocuments } from './taskDocuments';

/** What a field does, with an example and where SkyPilot documents it. */
export class TaskHover implements vscode.HoverProvider {
  constructor(private readonly documents: TaskDocuments) {}

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    if (!this.documents.isTask(document) || isServedByYamlExtension(document)) return undefined;
    const help = fieldHelp(document.getText(), document.offsetAt(position));
    if (!help) return undefined;
    const link =
      help.url === undefined ? '' : `\n\n[${vscode.l10n.t('SkyPilot documentation')}](${help.url})`;
    const text = new vscode.MarkdownString(`**${help.title.replaceAll('_', '\\_')}**\n\n${help.text}${link}`);
    return new vscode.Hover(text, rangeOf(document, help));
  }
}
