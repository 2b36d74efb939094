import * as vscode from 'vscode';
import { LANGUAGE } from './languages';

const RED_HAT = 'redhat.vscode-yaml';

/** Whether the well-known YAML extension is there; it makes outlines of documents of language `yaml`. */
export function hasYamlExtension(): boolean {
  return vscode.extensions.getExtension(RED_HAT) !== undefined;
}

/**
 * Whether the well-known YAML extension completes and explains a document from a schema already, so that ours would
 * be said twice. It looks only at documents of language `yaml`, and has nothing to say without a schema: one that we
 * contribute by file name, one named in the file, or one of the user's `yaml.schemas`.
 */
export function isServedByYamlExtension(document: vscode.TextDocument): boolean {
  if (document.languageId === LANGUAGE || !hasYamlExtension()) return false;
  if (/\.(?:task|sky)\.ya?ml$/i.test(document.fileName)) return true;
  if (/^#\s*yaml-language-server:\s*\$schema=/m.test(document.getText().slice(0, 2000))) return true;
  const schemas = vscode.workspace
    .getConfiguration('yaml', document)
    .get<Record<string, string | string[]>>('schemas', {});
  return Object.values(schemas)
    .flat()
    .some((pattern) => vscode.languages.match({ pattern: anywhere(pattern) }, document) > 0);
}

/** That extension matches a pattern without a slash in any folder. */
function anywhere(pattern: string): string {
  return pattern.includes('/') ? pattern : `**/${pattern}`;
}
