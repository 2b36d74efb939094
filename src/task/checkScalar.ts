import type { Check } from './grammar';
import type { ProblemList } from './problems';
import { numberOf, pythonText } from './scalar';
import type { ScalarShape } from './shape';
import { closest } from './suggest';
import type { ScalarNode, TreeNode } from './tree';

/** Whether a scalar has the type that a shape wants; as in JSON schema, `2.0` is an integer and a boolean no number. */
export function fitsScalar(node: ScalarNode, shape: ScalarShape): boolean {
  switch (shape.type) {
    case 'string':
      return node.type === 'string';
    case 'boolean':
      return node.type === 'boolean';
    case 'number':
      return node.type === 'integer' || node.type === 'float';
    case 'integer':
      return node.type === 'integer' || (node.type === 'float' && Number.isInteger(numberOf(node.text)));
  }
}

/** A shape's type as the rest of "must be …". */
export function typeInWords(shape: ScalarShape): string {
  switch (shape.type) {
    case 'string':
      return shape.oneOf ? `one of ${shape.oneOf.join(', ')}` : 'text';
    case 'boolean':
      return '`true` or `false`';
    case 'number':
      return 'a number';
    case 'integer':
      return 'a whole number';
  }
}

/** Reports a value of the wrong type, with a fix where quotes, or their absence, are all it takes. */
export function wrongType(
  problems: ProblemList,
  node: TreeNode,
  expected: string,
  name: string,
  shape?: ScalarShape,
): void {
  const message = `\`${name}\` must be ${expected}, not ${inWords(node)}.`;
  problems.error(node, 'wrong-type', message, quoteFix(node, shape));
}

function quoteFix(node: TreeNode, shape: ScalarShape | undefined) {
  if (node.kind !== 'scalar' || !shape) return undefined;
  if (shape.type === 'string' && node.style === 'plain' && node.type !== 'null') {
    // In quotes it would be another mistake: no accelerator is called 4.
    if (shape.check?.(node.text)) return undefined;
    return { title: 'Put it in quotes', text: JSON.stringify(node.text) };
  }
  const isNumber = shape.type === 'integer' ? /^-?[1-9]\d*$/ : /^-?\d+(?:\.\d+)?$/;
  const unquoted = shape.type === 'boolean' ? /^(?:true|false)$/ : isNumber;
  if (shape.type !== 'string' && node.style === 'quoted' && unquoted.test(node.text)) {
    return { title: 'Remove the quotes', text: node.text };
  }
  return undefined;
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function inWords(node: TreeNode): string {
  if (node.kind === 'map') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  const text = shortened(node.text, 40);
  switch (node.type) {
    case 'null':
      return 'empty';
    case 'string':
      return `the text ${JSON.stringify(text)}`;
    case 'timestamp':
      return `the date ${text}`;
    case 'boolean':
      return `the truth value ${text}`;
    default:
      return `the number ${text}`;
  }
}

/** Checks range, pattern, values and grammar of a scalar of the right type. */
export function checkScalar(problems: ProblemList, node: ScalarNode, shape: ScalarShape, name: string): void {
  if (shape.type === 'string') checkText(problems, node, shape, name);
  if (shape.type === 'integer' || shape.type === 'number') checkNumber(problems, node, shape, name);
  if (shape.check) reportFlaw(problems, node, shape.check);
}

/** Where SkyPilot puts in values of `envs` before it looks at the text. */
const SUBSTITUTED = /^(?:workdir|file_mounts|service|volumes)\b/;

function checkText(problems: ProblemList, node: ScalarNode, shape: ScalarShape, name: string): void {
  if (SUBSTITUTED.test(name) && /\$\{?\w/.test(node.text)) return;
  const { oneOf } = shape;
  if (oneOf) {
    const same = (option: string) =>
      shape.anyCase ? option.toLowerCase() === node.text.toLowerCase() : option === node.text;
    if (oneOf.some(same)) return;
    const meant = closest(node.text, oneOf);
    const question = meant === undefined ? '' : ` Did you mean \`${meant}\`?`;
    const fix = meant === undefined ? undefined : { title: `Change to \`${meant}\``, text: meant };
    problems.error(node, 'bad-value', `\`${name}\` is one of ${oneOf.join(', ')}.${question}`, fix);
  } else if (shape.pattern && !shape.pattern.test(node.text)) {
    problems.error(
      node,
      'bad-value',
      `\`${name}\` does not look right: write ${shape.patternSays ?? 'another value'}.`,
    );
  } else if (node.text.length < (shape.minLength ?? 0)) {
    problems.error(node, 'empty-value', `\`${name}\` must not be empty.`);
  } else if (node.text.length > (shape.maxLength ?? Infinity)) {
    problems.error(node, 'too-many', `\`${name}\` takes at most ${shape.maxLength ?? 0} characters.`);
  }
}

function checkNumber(problems: ProblemList, node: ScalarNode, shape: ScalarShape, name: string): void {
  const value = numberOf(node.text);
  const { min = -Infinity, max = Infinity, above = -Infinity } = shape;
  // Written so that NaN is refused wherever there is a bound.
  const inRange = (min === -Infinity || value >= min) && (max === Infinity || value <= max);
  if (inRange && (above === -Infinity || value > above)) return;
  const bounds = [
    min === -Infinity ? '' : `at least ${min}`,
    max === Infinity ? '' : `at most ${max}`,
    above === -Infinity ? '' : `above ${above}`,
  ];
  problems.error(node, 'out-of-range', `\`${name}\` must be ${bounds.filter(Boolean).join(' and ')}.`);
}

/** Reports what a value's own grammar finds. */
export function reportFlaw(problems: ProblemList, node: ScalarNode, check: Check): void {
  const flaw = check(pythonText(node.type, node.text));
  if (!flaw) return;
  const text = flaw.replacement;
  const fix = text === undefined ? undefined : { title: `Write \`${shortened(text, 60)}\``, text };
  problems.report(flaw.severity, node, flaw.code, flaw.message, fix);
}
