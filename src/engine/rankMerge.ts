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

  constructor(prefix: string) {
    this.prefix = Buffer.from(prefix);
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

  private flush(out: Buffer[], tail: Buffer): void {
    out.push(this.prefix, ...this.rest, tail);
    this.rest = [];
  }
}

/**
 * How many bytes of each rank's own log a merged log holds. The merged text is the only record: a line's own bytes are
 * what follows its prefix. `complete` is how much of `merged` is whole lines; what comes after is a torn append.
 */
export function mergedOffsets(
  merged: Buffer,
  prefixes: readonly string[],
): { offsets: number[]; complete: number } {
  const needles = prefixes.map((prefix) => Buffer.from(prefix));
  const offsets = prefixes.map(() => 0);
  let start = 0;
  let at = 0;
  while (at < merged.length) {
    const byte = merged[at++];
    if (byte !== LF && !(byte === CR && merged[at] !== LF && at < merged.length)) continue;
    const rank = needles.findIndex((needle) => merged.subarray(start, start + needle.length).equals(needle));
    if (rank >= 0) offsets[rank] = (offsets[rank] ?? 0) + (at - start - (needles[rank]?.length ?? 0));
    start = at;
  }
  return { offsets, complete: start };
}
