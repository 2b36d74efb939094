import { cursorAt, type Cursor } from './cursor';
import { inWords } from './reference';
import type { Field, FieldTable, ObjectShape, Shape } from './shape';
import type { Span } from './tree';

/** GPUs of one kind on all clusters that are known. */
export interface KnownGpus {
  readonly name: string;
  /** Devices that no job has now. */
  readonly free: number;
  readonly total: number;
  /** Devices of the node that has most of them; not known when absent. */
  readonly mostOnNode?: number;
}

/** Something to put at the cursor. */
export interface Completion extends Span {
  readonly label: string;
  readonly kind: 'field' | 'value' | 'gpu';
  /** A word or two beside the label. */
  readonly detail: string;
  /** Markdown. */
  readonly documentation?: string;
  /** A VS Code snippet: `$1` and `${1:name}` are places to fill in. */
  readonly snippet: string;
  /** Sorts the list. */
  readonly order: string;
  /** Once taken, there is something to offer at its first place to fill in. */
  readonly leadsOn?: boolean;
}

/** GPUs that are offered after those that the clusters have. */
const COMMON_GPUS = [
  'H100',
  'H200',
  'A100',
  'A100-80GB',
  'L40S',
  'L4',
  'A10',
  'V100',
  'T4',
  'RTX4090',
  'MI300X',
];

/** What may come at an offset of a task file, best first. */
export function complete(text: string, offset: number, gpus: readonly KnownGpus[] = []): Completion[] {
  const cursor = cursorAt(text, offset);
  if (!cursor) return [];
  const isAccelerator = cursor.field?.name === 'accelerators' || cursor.field?.name === 'gpus';
  if (isAccelerator) return accelerators(cursor, gpus);
  return cursor.at === 'key' ? fields(text, cursor) : values(cursor);
}

function fields(text: string, cursor: Cursor): Completion[] {
  const objects = cursor.shapes.filter((shape): shape is ObjectShape => shape.type === 'object');
  const hasColon = /^\s*:/.test(text.slice(cursor.word.end, cursor.word.end + 20));
  return objects.flatMap((shape) =>
    Object.entries(shape.fields)
      .filter(([name, field]) => !field.internal && !isTaken(name, field, shape, cursor.taken))
      .map(([name, field], index) => ({
        label: name,
        kind: 'field' as const,
        detail: field.effect === 'own' ? '' : 'no effect on an SSH cluster',
        documentation: documentation(field),
        snippet: hasColon ? name : `${name}:${opening(field, cursor)}`,
        leadsOn: !hasColon && leadsOn(name, field),
        order: `${field.effect === 'own' ? 0 : 1}${field.aliasOf === undefined ? 0 : 1}${index.toString().padStart(3, '0')}`,
        ...cursor.word,
      })),
  );
}

/** Whether a field is there, by this name or by another. */
function isTaken(
  name: string,
  field: Field,
  { fields: table }: ObjectShape,
  taken: readonly string[],
): boolean {
  const first = field.aliasOf ?? name;
  return taken.some((other) => other === name || other === first || aliasOf(table, other) === first);
}

function aliasOf(table: FieldTable, name: string): string | undefined {
  return Object.hasOwn(table, name) ? table[name]?.aliasOf : undefined;
}

/** What follows the colon: a place for a value, or an indented line for what goes inside. */
function opening(field: Field, cursor: Cursor): string {
  if (cursor.flow) return ' $0';
  const lines = field.snippet ?? (isBlock(field.shape) ? '\n  $0' : ' $0');
  // VS Code repeats the white space of the line, not the dashes of a list before the key.
  return lines.replaceAll('\n', `\n${' '.repeat(cursor.column - cursor.indent)}`);
}

function leadsOn(name: string, field: Field): boolean {
  if (name === 'accelerators' || name === 'gpus' || field.snippet?.endsWith('accelerators: $1')) return true;
  const forms = field.shape.type === 'union' ? field.shape.of : [field.shape];
  const hasOffer = (shape: Shape) =>
    shape.type === 'boolean' || (shape.type === 'string' && shape.oneOf !== undefined);
  if (field.shape.type === 'object') return true;
  return field.values !== undefined || forms.some(hasOffer);
}

function isBlock(shape: Shape): boolean {
  return shape.type === 'object' || shape.type === 'dict' || shape.type === 'list';
}

function values(cursor: Cursor): Completion[] {
  const { field, shapes } = cursor;
  const offered = new Set<string>(field?.values ?? []);
  for (const shape of shapes) {
    if (shape.type === 'string') for (const value of shape.oneOf ?? []) offered.add(value);
    if (shape.type === 'boolean') for (const value of ['true', 'false']) offered.add(value);
  }
  return [...offered].map((value, index) => ({
    label: value,
    kind: 'value' as const,
    detail: '',
    snippet: escapeSnippet(value),
    order: index.toString().padStart(3, '0'),
    ...cursor.word,
  }));
}

function accelerators(cursor: Cursor, gpus: readonly KnownGpus[]): Completion[] {
  const had = new Set(gpus.map(({ name }) => name.toLowerCase()));
  const known = gpus.map(({ name, free, total, mostOnNode }) => ({
    name,
    detail: `${free} of ${total} free`,
    most: mostOnNode ?? total,
  }));
  const common = COMMON_GPUS.filter((name) => !had.has(name.toLowerCase())).map((name) => ({
    name,
    detail: 'on no cluster here',
    most: 8,
  }));
  return [...known, ...common].map(({ name, detail, most }, index) => {
    const counts = [1, 2, 4, 8, 16].filter((count) => count <= most);
    const choice = counts.length > 1 ? `\${1|${counts.join(',')}|}` : '1';
    return {
      label: name,
      kind: 'gpu' as const,
      detail,
      snippet: `${escapeSnippet(name)}:${cursor.at === 'key' && !cursor.flow ? ' ' : ''}${choice}`,
      order: index.toString().padStart(3, '0'),
      ...cursor.word,
    };
  });
}

function escapeSnippet(text: string): string {
  return text.replace(/[\\$}]/g, '\\$&');
}

/** Markdown about a field: what it does, takes, and looks like. */
export function documentation(field: Field): string {
  const effect = field.effect === 'own' ? '' : '\n\n*Has no effect on an SSH cluster.*';
  return `${field.doc}${effect}\n\nTakes ${inWords(field.shape)}.\n\n\`\`\`yaml\n${field.example}\n\`\`\``;
}
