import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { WireReader } from '../../../src/node/reader';
import { encodeWord, parseEvent, parseJobState, ProtocolError } from '../../../src/node/wire';

/** What a shell makes of an encoded word, as agent.sh decodes it. */
function decodedBy(shell: readonly string[], text: string): string {
  const [program = '', ...args] = shell;
  const script = 'IFS= read -r line; set -f; set -- $line; printf %b "$2"';
  return execFileSync(program, [...args, '-c', script], {
    input: `verb ${encodeWord(text)} last\n`,
    encoding: 'utf8',
  });
}

describe('words of the wire', () => {
  const shells = [['dash'], ['bash'], ['busybox', 'sh']].filter(([program = '']) =>
    ['/bin', '/usr/bin'].some((dir) => existsSync(`${dir}/${program}`)),
  );
  for (const shell of shells) {
    it(`come out of ${shell.join(' ')} as they went in`, () => {
      const awkward = [
        '',
        ' ',
        '\n',
        "it's",
        '$(id) `id`',
        '\\n \\0 \\c \\\\',
        '-n',
        '*',
        '~',
        'ünï 💡',
        'a\tb\r\nc',
        '\\0040',
        '%s %b',
      ];
      for (const text of awkward) assert.equal(decodedBy(shell, text), text);
    });

    it(`come out of ${shell.join(' ')} for any text`, function () {
      this.timeout(20_000);
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
          fc.pre(!text.includes('\0') && Buffer.from(text).toString() === text);
          assert.equal(decodedBy(shell, text), text);
        }),
        { numRuns: 60 },
      );
    });
  }

  it('cannot hold a NUL', () => {
    assert.throws(() => encodeWord('a\0b'), RangeError);
  });
});

describe('states and events', () => {
  it('are parsed', () => {
    assert.deepEqual(parseJobState(['running', '12', '1']), { state: 'running', age: 12, try: 1 });
    assert.deepEqual(parseJobState(['pausing', '12', '2']), { state: 'pausing', age: 12, try: 2 });
    assert.deepEqual(parseJobState(['waiting', '-', '1']), { state: 'waiting', try: 1 });
    assert.deepEqual(parseJobState(['waiting', '9', '2']), { state: 'waiting', age: 9, try: 2 });
    assert.deepEqual(parseJobState(['waiting', '9', '2', 'ready']), {
      state: 'waiting',
      age: 9,
      try: 2,
      ready: true,
    });
    assert.deepEqual(parseJobState(['ended', '137', '5', 'timeout', '-', '1']), {
      state: 'ended',
      code: 137,
      age: 5,
      how: 'timeout',
      try: 1,
    });
    assert.deepEqual(parseJobState(['ended', '0', '5', 'exit', '60', '3']), {
      state: 'ended',
      code: 0,
      age: 5,
      how: 'exit',
      ran: 60,
      try: 3,
    });
    assert.deepEqual(parseEvent(['T', 'u-0', '2', '1', '10']), {
      kind: 'retrying',
      uuid: 'u-0',
      try: 2,
      code: 1,
      pauseS: 10,
    });
    assert.deepEqual(parseEvent(['X', 'u-0', '3', '0', 'exit', '1', 'v-0:0,2:1', 'w-0:-:0']), {
      kind: 'ended',
      uuid: 'u-0',
      code: 3,
      age: 0,
      how: 'exit',
      try: 1,
      next: [
        { uuid: 'v-0', taken: { devices: [0, 2], alternative: 1 } },
        { uuid: 'w-0', taken: { devices: [], alternative: 0 } },
      ],
    });
    assert.deepEqual(parseEvent(['G', 'v-0:3:0']), {
      kind: 'taken',
      uuid: 'v-0',
      taken: { devices: [3], alternative: 0 },
    });
    assert.equal(parseEvent(['Welcome', 'to', 'node-a']), undefined);
  });

  it('that make no sense are refused', () => {
    assert.throws(() => parseJobState(['asleep']), ProtocolError);
    assert.throws(() => parseJobState(['running', 'x', '1']), ProtocolError);
    assert.throws(() => parseEvent(['X', 'u-0', '3', '0', '7', '1']), ProtocolError);
  });

  it('takes an end that only a later version knows for one by an exit code', () => {
    const end = parseEvent(['X', 'u-0', '3', '0', 'eaten', '1']);
    assert.deepEqual(end?.kind === 'ended' && [end.code, end.how], [3, 'exit']);
  });
});

describe('the reader', () => {
  it('finds lines and raw frames wherever the chunks are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.stringMatching(/^[a-zA-C ]{0,20}$/)),
          { maxLength: 8 },
        ),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
        async (items, cuts) => {
          const expected: string[] = [];
          const parts: Buffer[] = [];
          let offset = 0;
          for (const item of items) {
            if (typeof item === 'string') {
              parts.push(Buffer.from(`${item}\n`));
              expected.push(`line ${item}`);
            } else {
              parts.push(Buffer.from(`D 7 ${offset} ${item.length}\n`), Buffer.from(item));
              for (const byte of item) expected.push(`byte ${offset++} ${byte}`);
            }
          }
          const found: string[] = [];
          const reader = new WireReader({
            line: (text) => void found.push(`line ${text}`),
            data: (slot, at, bytes) => {
              assert.equal(slot, 7);
              bytes.forEach((byte, index) => found.push(`byte ${at + index} ${byte}`));
            },
          });
          const all = Buffer.concat(parts);
          for (let at = 0, turn = 0; at < all.length; turn++) {
            const step = cuts[turn % cuts.length] ?? 1;
            await reader.push(all.subarray(at, at + step));
            at += step;
          }
          assert.deepEqual(found, expected);
        },
      ),
    );
  });
});
