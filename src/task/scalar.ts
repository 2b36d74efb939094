/**
 * What a YAML scalar means to SkyPilot, that is to PyYAML: YAML 1.1 with PyYAML's own patterns (`yes` is a boolean,
 * `1e3` is text, `1:30` is 90). The `yaml` package's 1.1 schema differs in these, so scalars are read as text and
 * resolved here.
 */
export type ScalarType = 'string' | 'integer' | 'float' | 'boolean' | 'null' | 'timestamp';

const BOOLEAN = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const TRUE = /^(?:yes|true|on)$/i;
const NULL = /^(?:~|null|Null|NULL|)$/;
const INTEGER =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const DATE_TIME =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(Z|([-+])(\d\d?)(?::(\d\d))?))?$/;

/** The type of an unquoted scalar. */
export function resolvePlain(text: string): ScalarType {
  if (NULL.test(text)) return 'null';
  // Most scalars are words; every other type starts with one of these.
  if (!/^[-+.0-9yYnNtTfFoO]/.test(text)) return 'string';
  if (BOOLEAN.test(text)) return 'boolean';
  if (INTEGER.test(text)) return 'integer';
  if (FLOAT.test(text)) return 'float';
  if (DATE.test(text) || DATE_TIME.test(text)) return 'timestamp';
  return 'string';
}

/** The boolean that an unquoted scalar of type `boolean` means. */
export function booleanOf(text: string): boolean {
  return TRUE.test(text);
}

/** The number that an unquoted scalar of type `integer` or `float` means; large integers lose precision. */
export function numberOf(text: string): number {
  const clean = text.replaceAll('_', '');
  if (/^[-+]?\.inf$/i.test(clean)) return clean.startsWith('-') ? -Infinity : Infinity;
  if (/^\.nan$/i.test(clean)) return NaN;
  return FLOAT.test(text) ? floatOf(clean) : Number(integerOf(clean));
}

function integerOf(clean: string): bigint {
  const negative = clean.startsWith('-');
  const digits = clean.replace(/^[-+]/, '');
  const value = digits.includes(':')
    ? digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n)
    : /^0[0-7]+$/.test(digits)
      ? BigInt(`0o${digits.slice(1)}`)
      : /^0[bx]$/.test(digits)
        ? 0n
        : BigInt(digits);
  return negative ? -value : value;
}

function floatOf(clean: string): number {
  if (!clean.includes(':')) return Number(clean);
  const negative = clean.startsWith('-');
  const value = clean
    .replace(/^[-+]/, '')
    .split(':')
    .reduce((sum, part) => sum * 60 + Number(part), 0);
  return negative ? -value : value;
}

/** `str()` of the value in Python: what SkyPilot makes of an env value (`True`, `1.5`, `90`). */
export function pythonText(type: ScalarType, text: string): string {
  switch (type) {
    case 'string':
      return text;
    case 'null':
      return 'None';
    case 'boolean':
      return booleanOf(text) ? 'True' : 'False';
    case 'integer':
      return integerOf(text.replaceAll('_', '')).toString();
    case 'float':
      return pythonFloatText(numberOf(text));
    case 'timestamp':
      return timestampText(text);
  }
}

/** `repr()` of a float in Python; JavaScript switches to exponents at other sizes. */
function pythonFloatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? '-' : '+';
    return `${digits}e${sign}${Math.abs(exponent).toString().padStart(2, '0')}`;
  }
  const text =
    exponent < 0 ? value.toFixed(Math.max(0, fractionDigits(digits) - exponent)) : value.toString();
  return text.includes('.') ? text : `${text}.0`;
}

function fractionDigits(mantissa: string): number {
  return mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0;
}

function timestampText(text: string): string {
  const match = DATE_TIME.exec(text);
  if (!match) return text;
  const [
    ,
    year = '',
    month = '',
    day = '',
    hour = '',
    minute = '',
    second = '',
    fraction,
    zone,
    sign,
    zh,
    zm,
  ] = match;
  const two = (part: string) => part.padStart(2, '0');
  const micros = (fraction ?? '').slice(0, 6).padEnd(6, '0');
  const offset =
    zone === undefined ? '' : zone === 'Z' ? '+00:00' : `${sign ?? '+'}${two(zh ?? '0')}:${zm ?? '00'}`;
  const time = `${two(hour)}:${minute}:${second}${micros === '000000' ? '' : `.${micros}`}`;
  return `${year}-${two(month)}-${two(day)} ${time}${offset}`;
}
