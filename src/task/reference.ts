import { FIELDS } from './fields';
import { PROBLEM_CODES } from './problemCodes';
import { RESOURCE_FIELDS } from './resourceFields';
import type { Field, FieldTable, Shape } from './shape';

/** Where SkyPilot documents the same fields. */
const SOURCE_URL = 'https://docs.skypilot.co/en/latest/reference/yaml-spec.html';

/** Address of SkyPilot's own words about a field; undefined for one that its page does not have. */
export function sourceUrl(field: Field): string | undefined {
  return field.anchor === undefined ? undefined : `${SOURCE_URL}#yaml-spec-${field.anchor}`;
}

/** The page docs/task-yaml.md: every field, what it takes and does, and every problem that the check can find. */
export function referencePage(): string {
  return `${[
    '# Task files',
    INTRODUCTION,
    '## Fields',
    ...sections(FIELDS, '', 'own'),
    '## Fields of `resources`',
    ...sections(RESOURCE_FIELDS, 'resources.', 'own'),
    '## Fields without effect on an SSH cluster',
    'They are for SkyPilot in a cloud. A file that has them is right; the editor fades them.',
    table([...rows(FIELDS, ''), ...rows(RESOURCE_FIELDS, 'resources.')]),
    '## Problems',
    'The code that stands beside a message in the editor.',
    problemTable(),
    '## Where the check is stricter than SkyPilot',
    STRICTER,
  ].join('\n\n')}\n`;
}

const INTRODUCTION = [
  'A task file is a SkyPilot task file: YAML 1.1, all fields optional. Files named `*.task.yaml` or `*.sky.yaml` are',
  'always taken for tasks; other YAML files when their fields leave no doubt. Several documents (`---`) are a pipeline;',
  'exec takes a single task. This page is made from the table of fields that also drives the check and the completion.',
].join('\n');

const STRICTER = [
  '- A count of accelerators is whole or a fraction below 1, and above 0; a name is not empty.',
  '- `cpus` and `memory` are finite numbers.',
  '- A key that is given twice is an error; SkyPilot takes the last one without a word.',
  '- A variable without a value (`envs`, `secrets`) is fine: exec asks for it. Empty `envs:` and `secrets:` are fine.',
].join('\n');

function documented(fields: FieldTable, effect: Field['effect']): [string, Field][] {
  return Object.entries(fields).filter(([, field]) => !field.internal && field.effect === effect);
}

function sections(fields: FieldTable, prefix: string, effect: Field['effect']): string[] {
  return documented(fields, effect).flatMap(([name, field]) => {
    const url = sourceUrl(field);
    return [
      `### \`${prefix}${name}\``,
      `${field.doc}\n\nTakes ${inWords(field.shape)}.${url === undefined ? '' : ` [SkyPilot](${url})`}`,
      `\`\`\`yaml\n${field.example}\n\`\`\``,
    ];
  });
}

function rows(fields: FieldTable, prefix: string): string[][] {
  return documented(fields, 'none-on-ssh').map(([name, { shape, doc }]) => [
    `\`${prefix}${name}\``,
    inWords(shape),
    doc,
  ]);
}

function table(cells: readonly string[][]): string {
  return markdownTable(['Field', 'Takes', 'What it is for'], cells);
}

function problemTable(): string {
  return markdownTable(
    ['Code', 'Meaning'],
    Object.entries(PROBLEM_CODES).map(([code, meaning]) => [`\`${code}\``, meaning]),
  );
}

/** Columns padded as prettier wants them, so that the page stays as it was made. */
function markdownTable(head: readonly string[], body: readonly (readonly string[])[]): string {
  const escaped = [head, ...body].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...escaped.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...others] = escaped;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join('\n');
}

/** A shape as the rest of "takes …". */
export function inWords(shape: Shape): string {
  switch (shape.type) {
    case 'any':
      return 'anything';
    case 'union':
      return shape.expected;
    case 'list':
      return 'a list';
    case 'object':
      return 'a mapping of fields';
    case 'dict':
      return 'a mapping';
    case 'string':
      return shape.oneOf ? `one of ${shape.oneOf.join(', ')}` : 'text';
    case 'boolean':
      return '`true` or `false`';
    default:
      return `${shape.type === 'integer' ? 'a whole number' : 'a number'}${bounds(shape)}`;
  }
}

function bounds({ min, max, above }: { min?: number; max?: number; above?: number }): string {
  if (above !== undefined) return ` above ${above}`;
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  return min === undefined ? '' : `, at least ${min}`;
}
