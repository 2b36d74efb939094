import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MergedScan, RankLines, rankPrefix } from '../../../src/engine/rankMerge';

const prefixes = [rankPrefix(0, 'node-a'), rankPrefix(1, 'node-b')];

describe('the merged log of several ranks', () => {
  it('prefixes whole lines, also of progress bars, and ends the last one', () => {
    const lines = new RankLines(prefixes[1] ?? '');
    const text = (bytes: Buffer): string => bytes.toString('utf8');
    assert.equal(text(lines.push(Buffer.from('one\ntw'))), '(rank 1, node-b) one\n');
    assert.equal(text(lines.push(Buffer.from('o\r\n 50%\r'))), '(rank 1, node-b) two\r\n');
    assert.equal(
      text(lines.push(Buffer.from('100%\nrest'))),
      '(rank 1, node-b)  50%\r(rank 1, node-b) 100%\n',
    );
    assert.equal(text(lines.end()), '(rank 1, node-b) rest\n');
  });

  it('says itself how far each rank got, wherever it was cut off', () => {
    const piece = fc.record({ rank: fc.constantFrom(0, 1), text: fc.stringMatching(/^[ab\r\n]{0,12}$/) });
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(400),
        (pieces, where, split) => {
          const whole = ['', ''];
          for (const { rank, text } of pieces) whole[rank] = (whole[rank] ?? '') + text;
          const merge = (
            from: readonly number[],
            order: readonly { rank: number; text: string }[],
          ): Buffer => {
            const ranks = prefixes.map((prefix) => new RankLines(prefix));
            const skipped = [...from];
            const out: Buffer[] = [];
            for (const { rank, text } of order) {
              const skip = Math.min(skipped[rank] ?? 0, text.length);
              skipped[rank] = (skipped[rank] ?? 0) - skip;
              out.push(ranks[rank]?.push(Buffer.from(text.slice(skip))) ?? Buffer.alloc(0));
            }
            return Buffer.concat([...out, ...ranks.map((lines) => lines.end())]);
          };
          const all = merge([0, 0], pieces);
          const cut = all.subarray(0, Math.floor(all.length * where));
          const { offsets, complete } = scanned(cut, split);
          const resumed = Buffer.concat([cut.subarray(0, complete), merge(offsets, pieces)]);
          for (const [rank, prefix] of prefixes.entries()) {
            const own = mergedLines(resumed, prefix);
            const text = whole[rank] ?? '';
            const ended = text === '' || /[\r\n]$/.test(text) ? text : `${text}\n`;
            assert.equal(own, ended);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** Scans a merged log that comes in two pieces. */
function scanned(merged: Buffer, split: number): MergedScan {
  const scan = new MergedScan(prefixes);
  scan.push(merged.subarray(0, split));
  scan.push(merged.subarray(split));
  return scan;
}

/** What the lines with a prefix hold, without it. */
function mergedLines(merged: Buffer, prefix: string): string {
  return merged
    .toString('utf8')
    .split(/(?<=\n)|(?<=\r)(?!\n)/)
    .filter((line) => line.startsWith(prefix))
    .map((line) => line.slice(prefix.length))
    .join('');
}
