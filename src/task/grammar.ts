/** What is wrong with a value that has a grammar of its own. */
export interface Flaw {
  readonly code: string;
  readonly message: string;
  /** A warning still gives a value. */
  readonly severity: 'error' | 'warning';
  /** A text to put in the value's place that makes the flaw go away. */
  readonly replacement?: string;
}

/** Outcome of reading such a value: `value` is absent exactly when `flaw` is an error. */
export interface Parsed<T> {
  readonly value?: T;
  readonly flaw?: Flaw;
}

/** Reads a value and says what is wrong with it; undefined when nothing is. */
export type Check = (text: string) => Flaw | undefined;

/** A failed parse. */
export function refuse(code: string, message: string, replacement?: string): { readonly flaw: Flaw } {
  return { flaw: { code, message, severity: 'error', ...(replacement !== undefined && { replacement }) } };
}

/** A number as Python's `float()` reads it (spaces around, sign, exponent, `inf`, `nan`); undefined when it would not. */
export function pythonFloat(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+)?$/i.test(trimmed)) {
    return Number(trimmed.replaceAll('_', ''));
  }
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(trimmed);
  if (!special) return undefined;
  if (special[2]?.toLowerCase() === 'nan') return NaN;
  return special[1] === '-' ? -Infinity : Infinity;
}
