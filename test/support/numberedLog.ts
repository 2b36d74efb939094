import assert from 'node:assert/strict';

const LINE = 'line 000000000\n'.length;

/** A stretch of a log, in bytes from its beginning. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** A shell command that prints lines `from` to `to - 1` of a log in which every byte tells where it is. */
export function numberedLines(from: number | string, to: number | string): string {
  return `seq -f 'line %09.0f' ${from} $((${to} - 1))`;
}

/** So many lines in bytes. */
export function numberedSize(lines: number): number {
  return lines * LINE;
}

/** The bytes of that log from one offset to another. */
export function numberedBytes({ from, to }: Stretch): Buffer {
  const first = Math.floor(from / LINE);
  const lines: string[] = [];
  for (let n = first; n * LINE < to; n++) lines.push(`line ${String(n).padStart(9, '0')}\n`);
  return Buffer.from(lines.join('')).subarray(from - first * LINE, to - first * LINE);
}

/**
 * Which stretches of that log a text holds that has a line wherever something was dropped. Checks every byte, that no byte
 * is there twice, and that each such line is true.
 */
export function stretchesOf(text: string): Stretch[] {
  const found: Stretch[] = [];
  let announced: string | undefined;
  for (const [index, piece] of text
    .split(/\[cluster-queue\] (\d[\d.]* (?:bytes|[MG]B)) of this log were dropped here[^\n]*\n/)
    .entries()) {
    if (index % 2 === 1) {
      announced = piece;
      continue;
    }
    const whole = /line (\d{9})\n/.exec(piece);
    assert.ok(whole, `no whole line in ${JSON.stringify(piece.slice(0, 200))}`);
    const from = Number(whole[1]) * LINE - whole.index;
    const last = found[found.length - 1];
    const gap = from - (last?.to ?? 0);
    assert.ok(gap >= 0, `byte ${from} comes after byte ${last?.to}`);
    // Where the line had come whole but for its break, the break that was added looks like it.
    const gaps =
      last && numberedBytes({ from: last.to - 1, to: last.to }).toString() === '\n' ? [gap, gap + 1] : [gap];
    const told = announced;
    if (told !== undefined)
      assert.ok(
        gaps.some((bytes) => told === sizeWords(bytes, told)),
        `${told} said to be dropped before byte ${from}, and ${gap} were`,
      );
    // A line that broke off there was ended.
    const ended =
      numberedBytes({ from: from + piece.length - 1, to: from + piece.length }).toString() !== '\n' &&
      piece.endsWith('\n');
    const to = from + piece.length - (ended ? 1 : 0);
    assert.ok(
      numberedBytes({ from, to }).equals(Buffer.from(piece.slice(0, to - from))),
      `not what was written from ${from} to ${to}`,
    );
    found.push({ from, to });
  }
  return found;
}

function sizeWords(bytes: number, like: string): string {
  if (like.endsWith('bytes')) return `${bytes} bytes`;
  return like.endsWith('GB') ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
