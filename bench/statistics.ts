import type { Series, Target } from './case';

/** The value below which this share of the samples lies; NaN for none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? 0;
  const above = sorted[Math.ceil(at)] ?? 0;
  return below + (above - below) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** A target and what came of it; `value` is a ratio when the target is one. */
export interface Judged {
  readonly text: string;
  readonly value: number;
  /** Undefined when a side was not measured. */
  readonly met: boolean | undefined;
}

/** Holds a target against what was measured. */
export function judge(target: Target, series: readonly Series[]): Judged {
  const of = series.find(({ label }) => label === target.of);
  const middle = (name: string): number => median(series.find(({ label }) => label === name)?.samples ?? []);
  const { against, and } = target;
  const divisor = against === undefined ? 1 : middle(against) + (and === undefined ? 0 : middle(and));
  const value = median(of?.samples ?? []) / divisor;
  const peer = and === undefined ? against : `(${against ?? ''} + ${and})`;
  const unit = peer === undefined ? (of?.unit ?? '') : `× ${peer}`;
  const bound = target.most === undefined ? `≥ ${target.least ?? 0}` : `≤ ${target.most}`;
  const met = value <= (target.most ?? Infinity) && value >= (target.least ?? -Infinity);
  return { text: `${target.of} ${bound} ${unit}`, value, met: Number.isNaN(value) ? undefined : met };
}

/** Three significant digits, without an exponent. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(6, digits));
}
