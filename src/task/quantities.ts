import { pythonFloat, refuse, type Parsed } from './grammar';
import type { Quantity, ResourceAlternative } from './task';

// No machine has more. What is larger cannot be meant, and would be told in words such as Infinity.
const MOST_CPUS = 1e6;
const MOST_GB = 1e9;

/** Reads `cpus`: `4`, `0.5`, `"4+"`. Infinite and not-a-number are refused, unlike by SkyPilot. */
export function parseCpus(text: string): Parsed<Quantity> {
  const atLeast = text.endsWith('+');
  const amount = pythonFloat(atLeast ? text.slice(0, -1) : text);
  if (amount === undefined || !Number.isFinite(amount)) {
    return refuse('bad-cpus', `\`${text}\` is not a number of CPUs: write \`4\` or \`4+\` (at least 4).`);
  }
  if (amount <= 0) return refuse('bad-cpus', 'The number of CPUs must be above 0.');
  if (amount > MOST_CPUS)
    return refuse('out-of-range', `\`${text}\` is more CPUs than any machine has: at most ${MOST_CPUS}.`);
  return { value: { amount, atLeast } };
}

const GB_PER_UNIT: Readonly<Record<string, number>> = {
  k: 1 / (1024 * 1024),
  m: 1 / 1024,
  g: 1,
  t: 1024,
  p: 1024 * 1024,
};

/**
 * Reads `memory`: GB (`16`, `"16+"`), with a unit (`16GB`, `512MB+`, `1Ti`; a bare `G` is refused as by SkyPilot), or
 * `2x`: GB per CPU.
 */
export function parseMemory(text: string): Parsed<NonNullable<ResourceAlternative['memoryMiB']>> {
  if (text.endsWith('x')) return perCpu(text);
  const atLeast = text.endsWith('+');
  const body = atLeast ? text.slice(0, -1) : text;
  const withUnit = /^(.*?)\s*([kmgtp])[bi]$/i.exec(body);
  const number = pythonFloat(withUnit ? (withUnit[1] ?? '') : body);
  if (number === undefined || !Number.isFinite(number)) {
    const almost = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp])(?:ib|\+b)?\s*(\+?)$/i.exec(text);
    const replacement = almost && `${almost[1] ?? ''}${(almost[2] ?? '').toUpperCase()}B${almost[3] ?? ''}`;
    return refuse(
      'bad-memory',
      `\`${text}\` is not a memory size: ${MEMORY_FORMS}`,
      replacement ?? undefined,
    );
  }
  if (number <= 0) return refuse('bad-memory', 'The memory must be above 0.');
  const gb = number * (GB_PER_UNIT[(withUnit?.[2] ?? 'g').toLowerCase()] ?? 1);
  if (gb > MOST_GB) return tooMuch(text);
  return { value: { amount: gb * 1024, atLeast } };
}

function tooMuch(text: string): ReturnType<typeof refuse> {
  return refuse('out-of-range', `\`${text}\` is more memory than any machine has: at most ${MOST_GB} GB.`);
}

const MEMORY_FORMS =
  'write GB as a number (`16`, `16+` for at least) or with a unit KB, MB, GB, TB, PB (`16GB`).';

function perCpu(text: string): Parsed<NonNullable<ResourceAlternative['memoryMiB']>> {
  const amount = pythonFloat(text.slice(0, -1));
  if (amount === undefined || !Number.isFinite(amount) || amount <= 0) {
    return refuse('bad-memory', `\`${text}\` is not a memory size: ${MEMORY_FORMS}`);
  }
  if (amount > MOST_GB) return tooMuch(text);
  return { value: { amount, atLeast: false, perCpu: true } };
}
