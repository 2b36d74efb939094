import { documentation } from './complete';
import { follow } from './cursor';
import { ProblemList } from './problems';
import { sourceUrl } from './reference';
import type { Field } from './shape';
import { readYaml } from './syntax';
import { treeOf, type MapEntry, type Span, type TreeNode } from './tree';

/** What there is to say about the field at a place of a task file. */
export interface FieldHelp extends Span {
  /** The field's path, e.g. `resources.accelerators`. */
  readonly title: string;
  /** Markdown. */
  readonly text: string;
  /** Where SkyPilot documents it. */
  readonly url?: string;
}

/** Help for the field whose key, or whose one-line value, is at an offset; undefined where there is none. */
export function fieldHelp(text: string, offset: number): FieldHelp | undefined {
  for (const tree of treesOf(text)) {
    const path: string[] = [];
    const entry = entryAt(tree, offset, path);
    if (!entry) continue;
    const { field } = follow(path);
    if (!field || field.internal) return undefined;
    const named = path.findLastIndex((step) => step === field.name);
    // Below the last field that is known there are only the user's own names.
    if (named < path.length - 1 && entry.value.kind !== 'scalar') return undefined;
    return help(
      field,
      path.slice(0, named + 1),
      named === path.length - 1 ? spanAt(entry, offset) : entry.key,
    );
  }
  return undefined;
}

/** The documents of a text, as far as they can be read. */
export function treesOf(text: string): TreeNode[] {
  const ignored = new ProblemList();
  return readYaml(text, ignored).documents.map((document) => treeOf(document, text, ignored));
}

function help(field: Field, path: readonly string[], span: Span): FieldHelp {
  const title = path.filter((step) => step !== '[]').join('.');
  const url = sourceUrl(field);
  return {
    title,
    text: documentation(field),
    ...(url !== undefined && { url }),
    start: span.start,
    end: span.end,
  };
}

function spanAt({ key, value }: MapEntry, offset: number): Span {
  return offset <= key.end ? key : value;
}

/** The entry whose key or one-line value is at an offset; its path is pushed to `path`. */
function entryAt(node: TreeNode, offset: number, path: string[]): MapEntry | undefined {
  if (node.kind === 'scalar' || offset < node.start || offset > node.end) return undefined;
  if (node.kind === 'list') {
    const item = node.items.find((one) => one.start <= offset && offset <= one.end);
    if (!item) return undefined;
    path.push('[]');
    return entryAt(item, offset, path);
  }
  for (const entry of node.entries) {
    const { key, value } = entry;
    const onKey = key.start <= offset && offset <= key.end;
    const onValue = value.start <= offset && offset <= value.end;
    if (!onKey && !onValue) continue;
    path.push(key.text);
    if (onKey || (value.kind === 'scalar' && value.style !== 'block')) return entry;
    if (value.kind === 'scalar') return undefined;
    return entryAt(value, offset, path);
  }
  return undefined;
}
