import { treesOf } from './explainField';
import type { MapEntry, MapNode, Span, TreeNode } from './tree';

/** A field, or a document of a pipeline, in the outline of a task file. */
export interface OutlineItem extends Span {
  readonly name: string;
  readonly detail: string;
  readonly kind: 'document' | 'mapping' | 'list' | 'script' | 'value';
  /** The name's own place. */
  readonly nameSpan: Span;
  readonly children: readonly OutlineItem[];
}

/** Deeper than this it is not structure but data. */
const DEEPEST = 3;

/** The fields of a task file; with several documents, one item for each of them. */
export function outline(text: string): OutlineItem[] {
  const maps = treesOf(text).filter((tree): tree is MapNode => tree.kind === 'map');
  const [only] = maps;
  if (maps.length <= 1) return only ? itemsOf(only, 1) : [];
  return maps.map((map, index) => {
    const name = map.entries.find(({ key }) => key.text === 'name')?.value;
    const nameSpan = map.entries[0]?.key ?? map;
    return {
      name: name?.kind === 'scalar' && name.text !== '' ? name.text : `task ${index + 1}`,
      detail: '',
      kind: 'document',
      nameSpan: { start: nameSpan.start, end: nameSpan.end },
      start: map.start,
      end: map.end,
      children: itemsOf(map, 1),
    };
  });
}

function itemsOf(node: TreeNode, depth: number): OutlineItem[] {
  if (depth > DEEPEST) return [];
  if (node.kind === 'list') return node.items.flatMap((item) => itemsOf(item, depth));
  return node.kind === 'map' ? node.entries.filter(isHere).map((entry) => itemOf(entry, depth)) : [];
}

/** Not brought in by an alias or a merge key, which stand elsewhere. */
function isHere({ key, value }: MapEntry): boolean {
  return value.start >= key.start;
}

function itemOf({ key, value }: MapEntry, depth: number): OutlineItem {
  const isScript = value.kind === 'scalar' && value.style === 'block';
  return {
    name: key.text === '' ? '""' : key.text,
    detail: value.kind === 'scalar' && !isScript ? value.text.slice(0, 60) : '',
    kind: value.kind === 'map' ? 'mapping' : value.kind === 'list' ? 'list' : isScript ? 'script' : 'value',
    nameSpan: { start: key.start, end: key.end },
    start: key.start,
    end: Math.max(key.end, value.end),
    children: itemsOf(value, depth + 1),
  };
}
