import { refuse, type Parsed } from './grammar';

const SECONDS: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1 };
const LONGEST_S = 365 * 86_400;

/**
 * Reads a time limit, in seconds: `90s`, `30m`, `4h`, `1d`, `1h30m`; a number alone is minutes, as for Slurm's `--time`.
 * From 1 second to a year.
 */
export function parseTimeLimit(text: string): Parsed<number> {
  const spec = text.trim().toLowerCase();
  if (
    !/^(?:\d{1,9}|(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?)$/.test(spec) ||
    spec === ''
  ) {
    return refuse(
      'out-of-range',
      `\`${text}\` is not a time limit: write \`90s\`, \`30m\`, \`4h\`, \`1d\` or \`1h30m\`; a number alone is minutes.`,
    );
  }
  const parts = /^\d+$/.test(spec) ? [`${spec}m`] : (spec.match(/\d+[dhms]/g) ?? []);
  const seconds = parts.reduce((sum, part) => sum + parseInt(part, 10) * (SECONDS[part.slice(-1)] ?? 0), 0);
  if (seconds < 1 || seconds > LONGEST_S)
    return refuse('out-of-range', `A time limit is from 1 second to 365 days, not \`${text}\`.`);
  return { value: seconds };
}
