/** What every line of rank `rank` begins with in a multi-node job's log. */
export function rankPrefix(rank: number, node: string): string {
  return `(rank ${rank}, ${node}) `;
}

const CR = 13;
const LF = 10;

/**
 * Turns the byte stream of one rank into whole lines with the rank's prefix. A line ends with `\n`, or with `\r` (a
 * progress bar), as in SkyPilot; `\r\n` is one end. What is incomplete waits for the rest.
 */
export class RankLines {
  private rest: Buffer[] = [];
  private readonly prefix: Buffer;

  constructor(private readonly words: string) {
    this.prefix = Buffer.from(words);
  }

  /** A line about the rank that is none of its own. */
  prefixed(line: string): string {
    return `${this.words}${line}`;
  }

  /** Takes the next bytes; returns what can be appended to the merged log now (possibly nothing). */
  push(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    let start = 0;
    let at = 0;
    const held = this.rest[this.rest.length - 1];
    // A `\r` at the end of the last chunk: its line ended there unless this chunk begins with `\n`.
    if (held?.[held.length - 1] === CR && bytes.length > 0 && bytes[0] !== LF)
      this.flush(out, Buffer.alloc(0));
    while (at < bytes.length) {
      const byte = bytes[at++];
      if (byte === LF || (byte === CR && at < bytes.length && bytes[at] !== LF)) {
        this.flush(out, bytes.subarray(start, at));
        start = at;
      }
    }
    if (start < bytes.length) this.rest.push(Buffer.from(bytes.subarray(start)));
    return Buffer.concat(out);
  }

  /** The log is over: what is left becomes a line, ended if it was not. */
  end(): Buffer {
    if (this.rest.length === 0) return Buffer.alloc(0);
    const out: Buffer[] = [];
    const last = this.rest[this.rest.length - 1];
    const ended = last?.[last.length - 1] === CR;
    this.flush(out, ended ? Buffer.alloc(0) : Buffer.from('\n'));
    return Buffer.concat(out);
  }

  /** How many bytes wait for the end of their line. */
  get held(): number {
    return this.rest.reduce((sum, { length }) => sum + length, 0);
  }

  private flush(out: Buffer[], tail: Buffer): void {
    out.push(this.prefix, ...this.rest, tail);
    this.rest = [];
  }
}

/**
 * Finds in a merged log how many bytes of each rank's own log it holds. The merged text is the only record: a line's own
 * bytes are what follows its prefix.
 */
export class MergedScan {
  /** Of each rank's own log, what the whole lines hold. */
  readonly offsets: number[];
  /** How much of the text is whole lines; what comes after is a torn append. */
  complete = 0;
  private readonly needles: readonly Buffer[];
  private readonly head: Buffer;
  private length = 0;
  private endsAtCr = false;

  constructor(prefixes: readonly string[]) {
    this.needles = prefixes.map((prefix) => Buffer.from(prefix));
    this.head = Buffer.alloc(Math.max(0, ...this.needles.map(({ length }) => length)));
    this.offsets = prefixes.map(() => 0);
  }

  /** Takes the next bytes of the text. */
  push(bytes: Buffer): void {
    for (const byte of bytes) {
      if (this.endsAtCr && byte !== LF) this.endLine();
      if (this.length < this.head.length) this.head[this.length] = byte;
      this.length++;
      this.endsAtCr = byte === CR;
      if (byte === LF) this.endLine();
    }
  }

  private endLine(): void {
    const head = this.head.subarray(0, this.length);
    const rank = this.needles.findIndex((needle) => head.subarray(0, needle.length).equals(needle));
    if (rank >= 0)
      this.offsets[rank] = (this.offsets[rank] ?? 0) + this.length - (this.needles[rank]?.length ?? 0);
    this.complete += this.length;
    this.length = 0;
  }
}
