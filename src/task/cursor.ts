import { TASK_SHAPE } from './fields';
import { indentOf, lineEnd, lineStart } from './lines';
import type { Field, Shape } from './shape';
import type { Span } from './tree';

/**
 * Where a cursor is in a task file that is just being written. It goes by lines and indentation rather than by the
 * parser: half a line (`  acc`) is no YAML, but its place is plain.
 */
export interface Cursor {
  readonly at: 'key' | 'value';
  /** What the value may be, or the mapping that the key is for; several where a field takes several forms. */
  readonly shapes: readonly Shape[];
  /** The field that the value, list item or key below it belongs to. */
  readonly field?: Field & { readonly name: string };
  /** The word under the cursor, to be replaced. */
  readonly word: Span;
  /** Keys that the mapping has already. */
  readonly taken: readonly string[];
  /** Column of the key; lines below it are indented further. */
  readonly column: number;
  /** White space that the line starts with; less than `column` after the dash of a list. */
  readonly indent: number;
  /** In `{}` or `[]`, where there are no lines to add. */
  readonly flow: boolean;
}

interface Line {
  /** Column of the key or item, after list dashes. */
  readonly column: number;
  readonly dashes: readonly number[];
  readonly key?: string;
  readonly rest: string;
}

const KEY = /^(?:"([^"]*)"|'([^']*)'|([^\s#:[\]{},"'][^#:[\]{},]*?))\s*:(?:\s+(.*)|)$/;
/** Lines that are looked at above the cursor: the block of a very long file is found as well as any. */
const MOST_LINES = 5000;

/** Reads the place of a cursor; undefined in comments, scripts and quoted text, where nothing can be offered. */
export function cursorAt(text: string, offset: number): Cursor | undefined {
  const start = lineStart(text, offset);
  const before = text.slice(start, offset);
  if (/(?:^|\s)#/.test(before) || /^---/.test(before)) return undefined;
  const line = readLine(before);
  const above = linesAbove(text, start);
  if (insideScript(above, indentOf(text, start))) return undefined;
  const path = pathAbove(above, line);
  const flowStart = firstOpenBracket(line.key === undefined ? before.slice(line.column) : line.rest);
  if (flowStart !== undefined) return flowCursor(text, offset, line, path);
  if (line.key !== undefined)
    return valueCursor(text, offset, [...path, line.key], line.rest, line.column, false);
  return blockKeyOrItem(text, offset, line, path, above);
}

function readLine(text: string): Line {
  const dashes: number[] = [];
  let column = indentOf(text, 0);
  while (/^-(?:\s|$)/.test(text.slice(column))) {
    dashes.push(column);
    column += 1 + indentOf(text, column + 1);
  }
  const rest = text.slice(column);
  const match = KEY.exec(rest);
  if (!match) return { column, dashes, rest };
  return { column, dashes, key: match[1] ?? match[2] ?? match[3] ?? '', rest: match[4] ?? '' };
}

/** The lines above, nearest first, up to the start of the document; blank ones and comments left out. */
function linesAbove(text: string, start: number): string[] {
  const lines: string[] = [];
  let end = start - 1;
  while (end > 0 && lines.length < MOST_LINES) {
    const begin = lineStart(text, end);
    const line = text.slice(begin, lineEnd(text, begin));
    if (/^---/.test(line)) break;
    if (line.trim() !== '' && !/^\s*#/.test(line)) lines.push(line);
    end = begin - 1;
  }
  return lines;
}

/** Whether the nearest line that is indented less opens a block of text. */
function insideScript(above: readonly string[], indent: number): boolean {
  let least = indent;
  for (const line of above) {
    const width = indentOf(line, 0);
    if (width >= least) continue;
    if (/(?:^|[\s:])[|>][-+0-9]*\s*(?:#.*)?$/.test(line)) return true;
    least = width;
    if (least === 0) return false;
  }
  return false;
}

/** Keys (and `[]` for list items) that lead to a line. */
function pathAbove(above: readonly string[], line: Line): string[] {
  const path = line.dashes.map(() => '[]');
  let child: Pick<Line, 'column' | 'dashes'> = { ...line, column: line.dashes[0] ?? line.column };
  for (const raw of above) {
    const other = readLine(raw);
    const isKey = isKeyOf(other, child);
    if (!isKey && !isItemOf(other, child)) continue;
    if (isKey) path.unshift(other.key ?? '');
    path.unshift(...other.dashes.map(() => '[]'));
    child = { ...other, column: other.dashes[0] ?? other.column };
    if (child.column === 0 && child.dashes.length === 0) break;
  }
  return path;
}

/** Whether a line's key holds what begins at a column; a list may stand in the same column as its key. */
function isKeyOf({ key, column, dashes }: Line, child: Pick<Line, 'column' | 'dashes'>): boolean {
  if (key === undefined) return false;
  return column < child.column || (column === child.column && child.dashes.length > 0 && dashes.length === 0);
}

/** Whether a line's dash begins the list item that a key belongs to: `- a: 1` above `  b: 2`, or a dash alone. */
function isItemOf({ key, column, dashes, rest }: Line, child: Pick<Line, 'column' | 'dashes'>): boolean {
  const dash = dashes.at(-1);
  if (dash === undefined || child.dashes.length > 0) return false;
  return column === child.column || (key === undefined && rest === '' && dash < child.column);
}

function blockKeyOrItem(
  text: string,
  offset: number,
  line: Line,
  path: readonly string[],
  above: readonly string[],
): Cursor | undefined {
  const { shapes, field } = follow(path);
  const start = lineStart(text, offset) + line.column;
  const word = wordAround(text, start, offset, /[^\s:#]/);
  const listItem = line.dashes.length > 0 && shapes.some((shape) => shape.type === 'string');
  const at = listItem ? 'value' : 'key';
  const taken = siblings(text, offset, line, above);
  return {
    at,
    shapes,
    ...(field && { field }),
    word,
    taken,
    column: line.column,
    indent: indentOf(text, lineStart(text, offset)),
    flow: false,
  };
}

function valueCursor(
  text: string,
  offset: number,
  path: readonly string[],
  rest: string,
  column: number,
  flow: boolean,
): Cursor | undefined {
  if (/^["']/.test(rest)) return undefined;
  const { shapes, field } = follow(path);
  const word = wordAround(text, offset - rest.length, offset, flow ? /[^\s,}\]#]/ : /[^\s#]/);
  return { at: 'value', shapes, ...(field && { field }), word, taken: [], column, indent: column, flow };
}

function firstOpenBracket(rest: string): number | undefined {
  const at = /^\s*[[{]/.exec(rest);
  return at ? at[0].length - 1 : undefined;
}

/** Within brackets that opened on the cursor's line. */
function flowCursor(text: string, offset: number, line: Line, above: readonly string[]): Cursor | undefined {
  const path = line.key === undefined ? [...above] : [...above, line.key];
  const keys: string[][] = [];
  let token = '';
  let key: string | undefined;
  for (const char of line.rest) {
    if (char === '[' || char === '{') {
      if (key !== undefined) path.push(key);
      if (char === '[') path.push('[]');
      keys.push(char === '{' ? [] : ['[]']);
      [token, key] = ['', undefined];
    } else if (char === ']' || char === '}') {
      const closed = keys.pop();
      if (closed?.[0] === '[]') path.pop();
      if (keys.at(-1)?.[0] !== '[]' && path.length > above.length) path.pop();
      [token, key] = ['', undefined];
    } else if (char === ',') {
      [token, key] = ['', undefined];
    } else if (char === ' ' && token.endsWith(':')) {
      key = token.slice(0, -1).trim();
      if (keys.at(-1)?.[0] !== '[]') keys.at(-1)?.push(key);
      token = '';
    } else token += char;
  }
  if (keys.length === 0) return undefined;
  if (key !== undefined)
    return valueCursor(text, offset, [...path, key], token.trimStart(), line.column, true);
  const inList = keys.at(-1)?.[0] === '[]';
  const { shapes, field } = follow(path);
  const word = wordAround(text, offset - token.trimStart().length, offset, /[^\s,:}\]]/);
  const taken = inList ? [] : (keys.at(-1) ?? []);
  return {
    at: inList ? 'value' : 'key',
    shapes,
    ...(field && { field }),
    word,
    taken,
    column: line.column,
    indent: line.column,
    flow: true,
  };
}

function wordAround(text: string, start: number, offset: number, part: RegExp): Span {
  let end = offset;
  while (end < text.length && part.test(text.charAt(end))) end += 1;
  return { start, end };
}

/** Keys of the mapping around a line, on both sides of it. */
function siblings(text: string, offset: number, line: Line, above: readonly string[]): string[] {
  const below = text.slice(lineEnd(text, offset)).split(/\r?\n/).slice(1, 200);
  const keys: string[] = [];
  // A dash on the cursor's own line opens the mapping.
  for (const [lines, open] of [
    [above, line.dashes.length === 0],
    [below, true],
  ] as const) {
    if (!open) continue;
    for (const raw of lines) {
      if (raw.trim() === '' || /^\s*#/.test(raw)) continue;
      const other = readLine(raw);
      if (/^---/.test(raw) || other.column < line.column) break;
      const isDash = other.dashes.length > 0 && other.column === line.column;
      if (isDash && lines === below) break;
      if (other.column === line.column && other.key !== undefined) keys.push(other.key);
      if (isDash) break;
    }
  }
  return keys;
}

/** Goes from a task document down a path of keys, through every form that the fields on the way may take. */
export function follow(path: readonly string[]): Pick<Cursor, 'shapes' | 'field'> {
  let shapes: readonly Shape[] = [TASK_SHAPE];
  let field: Cursor['field'];
  for (const step of path) {
    const next: Shape[] = [];
    for (const shape of shapes) {
      if (step === '[]') {
        if (shape.type === 'list') next.push(...forms(shape.items));
      } else if (shape.type === 'object') {
        const found = Object.hasOwn(shape.fields, step) ? shape.fields[step] : undefined;
        if (!found) continue;
        field = { ...found, name: step };
        next.push(...forms(found.shape));
      } else if (shape.type === 'dict') next.push(...forms(shape.values));
    }
    shapes = next;
  }
  return field ? { shapes, field } : { shapes };
}

function forms(shape: Shape): readonly Shape[] {
  return shape.type === 'union' ? shape.of.flatMap(forms) : [shape];
}
