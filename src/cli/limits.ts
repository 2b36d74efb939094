import { parseTimeLimit } from '../task';
import { UsageError } from './errors';
import { wholeNumber } from './numbers';
import type { LimitFlags } from './taskOptions';

const MOST_RETRIES = 1000;

/** What the options say, as the queue takes it. @throws UsageError */
export function limitsOf({ timeout, retries }: LimitFlags): { timeoutS?: number; retries?: number } {
  return {
    ...(timeout === undefined ? {} : { timeoutS: secondsOf(timeout) }),
    ...(retries === undefined ? {} : { retries: retriesOf(retries) }),
  };
}

function secondsOf(text: string): number {
  const { value, flaw } = parseTimeLimit(text);
  if (value === undefined) throw new UsageError(`--timeout ${text}: ${flaw?.message ?? 'not a time limit'}`);
  return value;
}

function retriesOf(text: string): number {
  const count = wholeNumber('--retries', text);
  if (count > MOST_RETRIES) throw new UsageError(`--retries ${text}: at most ${MOST_RETRIES}`);
  return count;
}
