import { UsageError } from './errors';

/** A whole number of an option, 0 or more. @throws UsageError */
export function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${flag} ${text}: write a whole number, 0 or more`);
  return Number(text);
}

/** The number of a `--priority`. @throws UsageError */
export function priorityOf(text: string): number {
  if (!/^[-+]?\d{1,4}$/.test(text) || Math.abs(Number(text)) > 1000)
    throw new UsageError(`--priority ${text}: write a whole number from -1000 to 1000`);
  return Number(text);
}

/** A job id as it stands on a command line. @throws UsageError */
export function jobId(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new UsageError(`"${text}" is not a job id: they are whole numbers`);
  return Number(text);
}
