import type { JobStatus } from '../queue';

/** Colours by what they say. */
export type Tone = 'good' | 'bad' | 'busy' | 'odd' | 'head' | 'dim';

const CODES: Readonly<Record<Tone, string>> = {
  good: '32',
  bad: '31',
  busy: '36',
  odd: '33',
  head: '1',
  dim: '2',
};

const LF = 10;

/** The two outputs: for a person on a terminal with colours, for a pipe without. */
export class Terminal {
  private broken = false;
  private lostOutput = false;
  /** What was printed last has not ended its line. */
  private midLine = false;

  constructor(
    private readonly out: NodeJS.WriteStream = process.stdout,
    private readonly err: NodeJS.WriteStream = process.stderr,
  ) {
    out.on('error', (error: NodeJS.ErrnoException) => {
      // `cq queue | head`: whoever read has enough.
      if (error.code !== 'EPIPE' && !this.broken) {
        this.lostOutput = true;
        this.note(`cq: the output cannot be written: ${error.message}`);
      }
      this.broken = true;
    });
    // Words beside the output that nobody can hear any more must not end what the command does.
    err.on('error', () => undefined);
  }

  /** True when nobody reads what is printed any more. */
  get closed(): boolean {
    return this.broken;
  }

  /** True when something of the output could not be written, and not because its reader had enough. */
  get failed(): boolean {
    return this.lostOutput;
  }

  /** True when a person reads what is printed. */
  get isTty(): boolean {
    return this.out.isTTY;
  }

  /** True when a person can answer. */
  get canAsk(): boolean {
    return process.stdin.isTTY && this.err.isTTY;
  }

  print(text: string): void {
    this.midLine = false;
    if (!this.broken) this.out.write(`${text}\n`);
  }

  write(bytes: Buffer): void {
    if (bytes.length > 0) this.midLine = bytes.at(-1) !== LF;
    if (!this.broken) this.out.write(bytes);
  }

  /** A word beside the output; never on stdout. */
  note(text: string): void {
    // On a terminal both are on one screen.
    if (this.midLine && this.out.isTTY && this.err.isTTY) this.write(Buffer.from('\n'));
    this.err.write(`${text}\n`);
  }

  /** The text in colour where stdout shows colours. `hasColors` knows NO_COLOR, FORCE_COLOR and TERM. */
  paint(text: string, tone: Tone): string {
    return paint(this.out, text, tone);
  }

  /** As `paint`, for stderr. */
  paintNote(text: string, tone: Tone): string {
    return paint(this.err, text, tone);
  }

  /** Clears the screen, for a table that is shown anew. */
  clear(): void {
    if (this.isTty) this.out.write('\x1b[H\x1b[2J');
  }
}

function paint(stream: NodeJS.WriteStream, text: string, tone: Tone): string {
  const colours = stream.isTTY && stream.hasColors();
  return colours ? `\x1b[${CODES[tone]}m${text}\x1b[0m` : text;
}

/** A status in the colours that SkyPilot gives it. */
export function toneOf(status: JobStatus): Tone {
  switch (status) {
    case 'PENDING':
    case 'SETTING_UP':
      return 'busy';
    case 'RUNNING':
    case 'SUCCEEDED':
      return 'good';
    case 'CANCELLED':
      return 'odd';
    case 'FAILED':
    case 'FAILED_SETUP':
    case 'LOST':
      return 'bad';
  }
}

/** Rows in columns, each as wide as its widest cell, two spaces between; the first row is the head. */
export function columns(rows: readonly (readonly string[])[], paintHead: (text: string) => string): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row, index) => {
    const line = row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ');
    return index === 0 ? paintHead(line) : line;
  });
}
