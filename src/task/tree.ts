import {
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Document,
  type Node,
  type Pair,
  type Scalar,
} from 'yaml';
import { lineStart } from './lines';
import type { ProblemList } from './problems';
import { resolvePlain, type ScalarType } from './scalar';
import { tabAfterDash } from './tabs';

/** A place in the text: UTF-16 offsets, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A document as SkyPilot sees it (aliases and merge keys resolved), each node with its place in the text. */
export type TreeNode = ScalarNode | MapNode | ListNode;

export interface ScalarNode extends Span {
  readonly kind: 'scalar';
  readonly type: ScalarType;
  /** The text without quotes, escapes and block indentation. */
  readonly text: string;
  readonly style: 'plain' | 'quoted' | 'block' | 'empty';
}

export interface MapNode extends Span {
  readonly kind: 'map';
  readonly entries: MapEntry[];
}

export interface MapEntry {
  readonly key: ScalarNode;
  readonly value: TreeNode;
}

export interface ListNode extends Span {
  readonly kind: 'list';
  readonly items: TreeNode[];
}

/** The last value under a key, as PyYAML takes it; undefined when the key is absent or its value null. */
export function valueOf(map: MapNode, key: string): TreeNode | undefined {
  return entryOf(map, key)?.value;
}

/** The last entry with a key and a value that is not null. */
export function entryOf(map: MapNode, key: string): MapEntry | undefined {
  for (let index = map.entries.length - 1; index >= 0; index -= 1) {
    const entry = map.entries[index];
    if (entry?.key.text === key) return isNull(entry.value) ? undefined : entry;
  }
  return undefined;
}

export function isNull(node: TreeNode): boolean {
  return node.kind === 'scalar' && node.type === 'null';
}

/** Makes the tree of one document and reports duplicate keys, unknown tags and aliases without an anchor. */
export function treeOf(document: Document.Parsed, text: string, problems: ProblemList): TreeNode {
  return new TreeBuilder(text, problems).node(document.contents, document.range[0]);
}

const CORE_TAG =
  /^(?:tag:yaml\.org,2002:|!!)(?:str|int|float|bool|null|map|seq|timestamp|set|omap|binary|merge)$/;

class TreeBuilder {
  private readonly anchors = new Map<string, TreeNode>();

  constructor(
    private readonly text: string,
    private readonly problems: ProblemList,
  ) {}

  /** @param emptyAt Where a missing value would stand. */
  node(node: Node | null, emptyAt: number): TreeNode {
    if (!node)
      return { kind: 'scalar', type: 'null', text: '', style: 'empty', start: emptyAt, end: emptyAt };
    if (isAlias(node)) return this.alias(node.source, spanOf(node));
    this.checkTag(node);
    if (isMap(node)) return this.map(node.items, node);
    if (isSeq(node)) return this.list(node.items, node);
    const scalar = this.scalar(node);
    this.anchor(node, scalar);
    return scalar;
  }

  private anchor(node: Node, made: TreeNode): void {
    if ('anchor' in node && node.anchor !== undefined) this.anchors.set(node.anchor, made);
  }

  private alias(name: string, span: Span): TreeNode {
    const target = this.anchors.get(name);
    if (target) return target;
    this.problems.error(
      span,
      'unknown-alias',
      `\`*${name}\` refers to an anchor \`&${name}\` that is not defined above. For a literal \`*\`, use quotes.`,
      { title: 'Put it in quotes', text: JSON.stringify(this.text.slice(span.start, span.end)) },
    );
    return { kind: 'scalar', type: 'null', text: '', style: 'empty', ...span };
  }

  private checkTag(node: Node): void {
    const tag = 'tag' in node ? node.tag : undefined;
    if (tag === undefined || CORE_TAG.test(tag)) return;
    const start = this.text.lastIndexOf('!', spanOf(node).start);
    const written = /^!\S*/.exec(this.text.slice(Math.max(0, start)))?.[0] ?? tag;
    this.problems.error(
      { start: Math.max(0, start), end: Math.max(0, start) + written.length },
      'unknown-tag',
      `YAML tag \`${written}\` means nothing here. For a literal \`!\`, use quotes.`,
    );
  }

  private scalar(node: Node): ScalarNode {
    const span = spanOf(node);
    const scalar = isScalar(node) ? (node as Scalar.Parsed) : undefined;
    const text = typeof scalar?.value === 'string' ? scalar.value : '';
    const style = styleOf(scalar, span);
    return { kind: 'scalar', type: typeOf(text, style, scalar?.tag), text, style, ...span };
  }

  private list(items: readonly unknown[], node: Node): ListNode {
    const list: ListNode = { kind: 'list', items: [], ...spanOf(node) };
    this.anchor(node, list);
    for (const item of items) {
      // `[a: 1]` is a list of one-entry maps.
      if (isPair(item)) list.items.push(this.map([item], item.key as Node));
      else {
        const made = this.node(item as Node | null, list.start);
        if (!isFlow(node)) this.checkDash(made.start);
        list.items.push(made);
      }
    }
    return list;
  }

  /** The yaml package itself refuses a tab there only before a mapping. */
  private checkDash(item: number): void {
    const line = this.text.slice(lineStart(this.text, item), item);
    const tab = /(?<=- *)\t[\t ]*$/.exec(line);
    if (tab) this.problems.add(tabAfterDash(item - tab[0].length, item));
  }

  private map(pairs: readonly Pair[], node: Node): MapNode {
    const map: MapNode = { kind: 'map', entries: [], ...spanOf(node) };
    this.anchor(node, map);
    const seen = new Set<string>();
    const merges: TreeNode[] = [];
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null;
      const key = this.node(keyNode, map.start);
      const value = this.node(pair.value as Node | null, key.end);
      if (key.kind !== 'scalar') {
        this.problems.error(spanOf(keyNode), 'bad-key', 'A key must be a word, not a list or a mapping.');
        continue;
      }
      if (key.text === '<<' && key.style === 'plain') {
        merges.push(value);
        continue;
      }
      const identity = `${key.type === 'string' ? 's' : 'x'}${key.text}`;
      if (seen.has(identity)) {
        this.problems.error(
          spanOf(keyNode),
          'duplicate-key',
          `\`${key.text}\` is given twice; the first value would be ignored without a word.`,
        );
      }
      seen.add(identity);
      map.entries.push({ key, value });
    }
    this.merge(map, merges);
    return map;
  }

  private merge(map: MapNode, merges: readonly TreeNode[]): void {
    if (merges.length === 0) return;
    const present = new Set(map.entries.map((entry) => entry.key.text));
    const sources = merges.flatMap((merge) => (merge.kind === 'list' ? merge.items : [merge]));
    for (const source of sources) {
      if (source.kind !== 'map') {
        this.problems.error(source, 'bad-merge', '`<<` takes a mapping, or a list of mappings, to merge.');
        continue;
      }
      for (const entry of source.entries) {
        if (present.has(entry.key.text)) continue;
        present.add(entry.key.text);
        map.entries.push(entry);
      }
    }
  }
}

function isFlow(node: Node): boolean {
  return isCollection(node) && node.flow === true;
}

function styleOf(scalar: Scalar.Parsed | undefined, span: Span): ScalarNode['style'] {
  switch (scalar?.type) {
    case 'QUOTE_DOUBLE':
    case 'QUOTE_SINGLE':
      return 'quoted';
    case 'BLOCK_FOLDED':
    case 'BLOCK_LITERAL':
      return 'block';
    default:
      return span.start === span.end ? 'empty' : 'plain';
  }
}

function typeOf(text: string, style: ScalarNode['style'], tag: string | undefined): ScalarType {
  switch (tag?.replace(/^(?:tag:yaml\.org,2002:|!!)/, '')) {
    case 'str':
      return 'string';
    // A tag that does not fit its text (`!!int x`) is left as text, which the type check then refuses.
    case 'int':
    case 'float':
    case 'bool':
      return resolvePlain(text);
    case 'null':
      return 'null';
    default:
      return style === 'plain' || style === 'empty' ? resolvePlain(text) : 'string';
  }
}

function spanOf(node: Node | null): Span {
  const range = node?.range;
  return range ? { start: range[0], end: range[1] } : { start: 0, end: 0 };
}
