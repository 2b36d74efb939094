import { pythonFloat, refuse, type Parsed } from './grammar';
import type { AcceleratorRequest } from './task';

const MEMORY = /^(\d+)([GMT])B(\+?)$/i;
const MIB_PER_UNIT: Readonly<Record<string, number>> = { M: 1, G: 1024, T: 1024 * 1024 };
const MIG_PROFILE = /(^|[-_ ])\d+g\.\d+gb/i;
const FORMS = '`NAME`, `NAME:COUNT` (`V100:4`, `V100:0.5`), or by GPU memory `16GB+` or `16GB+:2`';

/**
 * Reads one accelerator: `V100`, `V100:8`, `V100:0.5`, `16GB+`, `32GB:2`, `nvidia:24GB+:1`.
 * Stricter than SkyPilot on purpose: a count must be whole, or a fraction below 1, and above 0; a name must not be
 * empty (SkyPilot finds these out on the cloud, minutes later).
 */
export function parseAccelerator(text: string): Parsed<AcceleratorRequest> {
  const parts = text.split(':');
  const [first = '', second, third] = parts;
  if (parts.length > 3)
    return refuse('bad-accelerator', `\`${text}\` is not an accelerator: write ${FORMS}.`);
  if (third !== undefined) {
    if (!MEMORY.test(second ?? '')) {
      return refuse('bad-accelerator', `\`${text}\` has too many parts: write ${FORMS}. ${SEVERAL}`);
    }
    return byMemory(text, second ?? '', third, first);
  }
  if (MEMORY.test(first)) return byMemory(text, first, second ?? '1');
  if (second !== undefined && MEMORY.test(second)) return byMemory(text, second, '1', first);
  return byName(text, first, second);
}

const SEVERAL = 'For alternatives write a list (`[L4:1, V100:1]`) or a set (`{L4:1, V100:1}`).';

function byName(text: string, name: string, countText: string | undefined): Parsed<AcceleratorRequest> {
  const trimmed = name.trim();
  if (trimmed === '') return refuse('bad-accelerator', `The accelerator's name is missing: write ${FORMS}.`);
  const count = countText === undefined ? 1 : pythonFloat(countText);
  if (count === undefined) {
    return refuse(
      'bad-accelerator',
      `\`${countText ?? ''}\` is not a count of accelerators: write ${FORMS}.`,
    );
  }
  const flaw = countFlaw(count, trimmed);
  if (flaw) return flaw;
  const turned = /^(\d+)\s*[x*]\s*([a-z].*)$/i.exec(trimmed);
  if (turned && countText === undefined) {
    const replacement = `${turned[2] ?? ''}:${turned[1] ?? ''}`;
    const message = `\`${text}\` is read as one accelerator of that name; the count comes after: \`${replacement}\`.`;
    return {
      value: { name: trimmed, count },
      flaw: { code: 'count-before-name', message, severity: 'warning', replacement },
    };
  }
  if (/^[\d.]+$/.test(trimmed) && countText === undefined) {
    const message = `\`${text}\` is read as the name of an accelerator: write ${FORMS}.`;
    return {
      value: { name: trimmed, count },
      flaw: { code: 'count-before-name', message, severity: 'warning' },
    };
  }
  if (name !== trimmed || (countText !== undefined && countText !== countText.trim())) {
    const replacement = countText === undefined ? trimmed : `${trimmed}:${countText.trim()}`;
    const message = `The spaces are part of the accelerator's name for SkyPilot: write \`${replacement}\`.`;
    return {
      value: { name: trimmed, count },
      flaw: { code: 'stray-space', message, severity: 'warning', replacement },
    };
  }
  const value = { name: trimmed, count };
  if (count > 1 && MIG_PROFILE.test(trimmed)) {
    const message =
      `A CUDA process sees one MIG slice only, the first of CUDA_VISIBLE_DEVICES. This job gets ${count} on each node: ` +
      'start a process for each of them. For more memory or speed in one process ask for a larger slice.';
    return { value, flaw: { code: 'several-slices', message, severity: 'warning' } };
  }
  return { value };
}

function countFlaw(count: number, name: string): ReturnType<typeof refuse> | undefined {
  if (Number.isNaN(count) || !Number.isFinite(count)) {
    return refuse('bad-count', `The count of ${name} must be a number.`);
  }
  if (count <= 0)
    return refuse('bad-count', `The count of ${name} must be above 0. For no GPU leave the field out.`);
  if (count > MOST_GPUS) return tooMany(name);
  if (count > 1 && !Number.isInteger(count)) {
    return refuse(
      'bad-count',
      `The count of ${name} must be whole, or a fraction below 1 of a single shared GPU.`,
      `${name}:${Math.ceil(count)}`,
    );
  }
  return undefined;
}

// No machine has more: what is larger cannot be meant.
const MOST_GPUS = 1e6;

function tooMany(name: string): ReturnType<typeof refuse> {
  return refuse('out-of-range', `The count of ${name} is more than any machine has: at most ${MOST_GPUS}.`);
}

function byMemory(
  text: string,
  memory: string,
  countText: string,
  vendor?: string,
): Parsed<AcceleratorRequest> {
  const [, digits = '', unit = '', plus] = MEMORY.exec(memory) ?? [];
  const amount = Number(digits) * (MIB_PER_UNIT[unit.toUpperCase()] ?? 1);
  // SkyPilot counts GPU memory in whole GB and refuses what is not.
  if (amount === 0 || amount % 1024 !== 0) {
    return refuse('bad-accelerator', `The GPU memory in \`${text}\` must be whole GB, at least 1.`);
  }
  if (!/^\s*[+-]?\d+\s*$/.test(countText)) {
    return refuse('bad-accelerator', `\`${countText}\` is not a whole count of GPUs: write ${FORMS}.`);
  }
  const count = Number(countText);
  if (count <= 0)
    return refuse('bad-count', 'The count of GPUs must be above 0. For no GPU leave the field out.');
  if (count > MOST_GPUS) return tooMany('GPUs');
  const memoryMiB = { amount, atLeast: plus === '+' };
  return { value: { ...(vendor !== undefined && vendor !== '' && { vendor }), memoryMiB, count } };
}
