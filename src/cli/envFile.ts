/**
 * Files of variables, as python-dotenv reads them, with which `sky … --env-file` reads them: its `parser.py` and
 * `variables.py` as of 1.2.4.
 */

/** A variable that a file names. */
export interface EnvEntry {
  readonly name: string;
  /** Undefined for a name without `=`. */
  readonly value: string | undefined;
  /** Where it begins; counts from 1. */
  readonly line: number;
}

/** What a file of variables says. */
export interface EnvFile {
  /** One for each name, with what the last line that has it says. */
  readonly entries: readonly EnvEntry[];
  /** Lines that are no `NAME=VALUE`, or whose quote has no end: they are passed over. */
  readonly unreadable: readonly number[];
}

const GAP = /\s*/y;
const SPACES = /[^\S\n]*/y;
const EXPORT = /export[^\S\n]+/y;
const QUOTED_NAME = /'([^']+)'/y;
const NAME = /([^=#\s]+)/y;
const EQUALS = /=([^\S\n]*)/y;
// A backslash keeps what follows it inside, also a quote.
const SINGLE_QUOTED = /'((?:\\[^]|[^'\\])*)'/y;
const DOUBLE_QUOTED = /"((?:\\[^]|[^"\\])*)"/y;
const PLAIN = /([^\n]*)/y;
const END = /[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y;
const REST = /[^\n]*\n?/y;

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/**
 * Reads a file of variables. `${NAME}` and `${NAME:-default}` in a value, however it is quoted, become what the lines
 * before say, else what `environment` says, else the default or nothing. Never throws; takes any text.
 */
export function parseEnvFile(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): EnvFile {
  const reader = new Reader(text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n'));
  const entries = new Map<string, EnvEntry>();
  const unreadable: number[] = [];
  for (;;) {
    reader.take(GAP);
    if (reader.atEnd) return { entries: [...entries.values()], unreadable };
    const line = reader.line;
    const statement = statementAt(reader);
    if (statement === 'unreadable') {
      unreadable.push(line);
      reader.take(REST);
    } else if (statement !== 'comment') {
      const { name, value } = statement;
      entries.set(name, { name, line, value: value && filled(value, entries, environment) });
    }
  }
}

type Statement = 'comment' | 'unreadable' | Pick<EnvEntry, 'name' | 'value'>;

function statementAt(reader: Reader): Statement {
  reader.take(EXPORT);
  if (reader.next === '#') {
    reader.take(REST);
    return 'comment';
  }
  const name = reader.take(reader.next === "'" ? QUOTED_NAME : NAME)?.[1];
  if (name === undefined) return 'unreadable';
  reader.take(SPACES);
  const spaces = reader.take(EQUALS)?.[1];
  const value = spaces === undefined ? undefined : valueAt(reader, spaces !== '');
  // A name alone has no value, which is not the same as a value that cannot be read.
  if (spaces !== undefined && value === undefined) return 'unreadable';
  return reader.take(END) ? { name, value } : 'unreadable';
}

/** @param spaced Whether white space stands before it. */
function valueAt(reader: Reader, spaced: boolean): string | undefined {
  if (reader.next === "'") return reader.take(SINGLE_QUOTED)?.[1]?.replace(/\\([\\'])/g, '$1');
  if (reader.next === '"')
    return reader
      .take(DOUBLE_QUOTED)?.[1]
      ?.replace(/\\([\\'"abfnrtv])/g, (_, letter: string) => ESCAPES[letter] ?? letter);
  const plain = reader.take(PLAIN)?.[1] ?? '';
  if (spaced && plain.startsWith('#')) return '';
  return plain.replace(/\s+#.*/, '').trimEnd();
}

function filled(
  value: string,
  before: ReadonlyMap<string, EnvEntry>,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return value.replace(
    /\$\{([^}:]*)(?::-([^}]*))?\}/g,
    (_, name: string, otherwise: string | undefined = '') => {
      const entry = before.get(name);
      // A name without a value hides that of the environment, as in python-dotenv.
      if (entry) return entry.value ?? '';
      return Object.hasOwn(environment, name) ? (environment[name] ?? otherwise) : otherwise;
    },
  );
}

/** A text and how far it was read. */
class Reader {
  private at = 0;
  private lines = 1;

  constructor(private readonly text: string) {}

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** The line that is read; counts from 1. */
  get line(): number {
    return this.lines;
  }

  get next(): string | undefined {
    return this.text[this.at];
  }

  /** Reads what a sticky pattern matches here; undefined, and nothing is read, when it does not. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (!match) return undefined;
    this.at += match[0].length;
    this.lines += match[0].split('\n').length - 1;
    return match;
  }
}
