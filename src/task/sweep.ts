import { TaskError } from './errors';
import { envNameFlaw } from './names';

/** One job of several that are made of one task. */
export interface Variant {
  /** What follows the task's name in its own: `lr1e-3-seed1`, or its number. */
  readonly suffix: string;
  readonly envs: Readonly<Record<string, string>>;
}

/** A variable and the values it is to have. */
export interface Axis {
  readonly name: string;
  readonly values: readonly string[];
}

/** More jobs than this at once are a mistake rather than a wish. */
export const MOST_VARIANTS = 10_000;

/**
 * Reads `lr=1e-3,1e-4` or `seed=1..5` (whole numbers, both ends included; `0..100..10` in steps).
 * Throws `TaskError`.
 */
export function parseAxis(text: string): Axis {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals)).trim();
  if (equals < 1)
    throw flawed(`\`${text}\` names no variable and its values: write \`lr=1e-3,1e-4\` or \`seed=1..5\`.`);
  const flaw = envNameFlaw(name);
  if (flaw) throw new TaskError(flaw.code, flaw.message, 'sweep');
  const values = text
    .slice(equals + 1)
    .split(',')
    .flatMap((value) => valuesOf(value.trim(), text));
  if (new Set(values).size < values.length) throw flawed(`\`${text}\` has a value twice.`);
  return { name, values };
}

/** Reads what a person writes in one line: `8`, `lr=1e-3,1e-4 seed=1..5`, or both. Throws `TaskError`. */
export function parseSweep(text: string): { axes: Axis[]; repeat: number } {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const counts = words.filter((word) => /^\d+$/.test(word));
  if (words.length === 0 || counts.length > 1)
    throw flawed('Write how often, as `8`, or values, as `lr=1e-3,1e-4 seed=1..5`.');
  const axes = words.filter((word) => !/^\d+$/.test(word)).map(parseAxis);
  return { axes, repeat: Number(counts[0] ?? 1) };
}

/** Every combination of the values, `repeat` times each, the last axis changing fastest. Throws `TaskError`. */
export function variantsOf(axes: readonly Axis[], repeat = 1): Variant[] {
  const twice = axes.find(({ name }, index) => axes.findIndex((other) => other.name === name) < index);
  if (twice) throw flawed(`\`${twice.name}\` is swept twice: give all its values at once.`);
  const count = axes.reduce((product, { values }) => product * values.length, repeat);
  if (!Number.isInteger(repeat) || repeat < 1) throw flawed('Write how often as a whole number from 1.');
  if (count > MOST_VARIANTS)
    throw new TaskError(
      'out-of-range',
      `That makes ${count} jobs; at most ${MOST_VARIANTS} can be queued at once.`,
      'sweep',
    );
  const counted: Axis = { name: '', values: Array.from({ length: repeat }, (_, index) => String(index + 1)) };
  const product = [...axes, ...(repeat > 1 || axes.length === 0 ? [counted] : [])].reduce<
    [string, string][][]
  >(
    (rows, { name, values }) =>
      rows.flatMap((row) => values.map((value) => [...row, [name, value] as [string, string]])),
    [[]],
  );
  const suffixes = product.map((row) => suffixOf(row.map(([name, value]) => `${name}${value}`).join('-')));
  const distinct =
    new Set(suffixes).size === suffixes.length && suffixes.every((one) => one !== '' && one.length <= 100);
  return product.map((row, index) => ({
    suffix: distinct ? (suffixes[index] ?? '') : String(index + 1),
    envs: {
      ...Object.fromEntries(row.filter(([name]) => name !== '')),
      CLUSTER_QUEUE_INDEX: String(index + 1),
      CLUSTER_QUEUE_COUNT: String(count),
    },
  }));
}

function valuesOf(value: string, text: string): string[] {
  if (value === '') throw flawed(`\`${text}\` has an empty value.`);
  const range = /^(-?\d{1,9})\.\.(-?\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(value);
  if (!range && /^-?[\d.e+-]+\.\.-?[\d.e+-]+$/i.test(value))
    throw flawed(
      `\`${value}\` is no range of whole numbers: write its values with commas, as \`0,0.25,0.5\`.`,
    );
  if (!range) return [value];
  const [from, to, step] = [Number(range[1]), Number(range[2]), Number(range[3] ?? 1)];
  const count = step === 0 ? Infinity : Math.floor(Math.abs(to - from) / step) + 1;
  if (count > MOST_VARIANTS) throw flawed(`\`${value}\` has too many values: at most ${MOST_VARIANTS}.`);
  return Array.from({ length: count }, (_, index) => String(from + Math.sign(to - from) * step * index));
}

/** As the name of a task may go on. */
function suffixOf(text: string): string {
  return text
    .replace(/[^a-zA-Z0-9._-]+/g, '-')
    .replace(/[._-]{2,}/g, '-')
    .replace(/^[._-]+|[._-]+$/g, '');
}

function flawed(message: string): TaskError {
  return new TaskError('bad-value', message, 'sweep');
}
