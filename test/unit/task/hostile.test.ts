import assert from 'node:assert/strict';
import fc from 'fast-check';
import { looksLikeTask, parseTask } from '../../../src/task';

const seed = Number(process.env.FC_SEED ?? Date.now() % 1_000_000_000);
const REPLACEMENTS = [
  '"',
  "'",
  '\t',
  '[',
  '{',
  '}',
  ']',
  ':',
  '#',
  '&a ',
  '*a ',
  '|',
  '- ',
  '\r',
  '---\n',
  '<<: ',
  '?',
  '!',
  '\u0000',
  '😀',
];

/** The codes of the errors, found in less time than a person notices. */
function codesOf(text: string): string[] {
  const start = performance.now();
  const { problems } = parseTask(text);
  const took = performance.now() - start;
  assert.ok(took < 5000, `took ${took} ms`);
  return problems.filter(({ severity }) => severity === 'error').map(({ code }) => code);
}

describe('a hostile file', function () {
  this.timeout(20_000);

  it('of 10 MB is not checked, and says so', () => {
    assert.deepEqual(codesOf('run: |\n' + '  echo hello\n'.repeat(900_000)), ['too-large']);
  });

  it('of deep nesting is not checked, and says so', () => {
    const deep = (open: string) => `run: x\nenvs: ${open.repeat(50_000)}\n`;
    assert.deepEqual(codesOf(deep('[')), ['too-deep']);
    assert.deepEqual(codesOf(deep('{a: ')), ['too-deep']);
    assert.deepEqual(codesOf(`run: x\nenvs:\n  ${'- '.repeat(50_000)}x\n`), ['too-deep']);
    const stairs = Array.from({ length: 1300 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('');
    assert.deepEqual(codesOf(stairs), ['too-deep']);
  });

  it('with an alias bomb is refused', () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const before = level === 0 ? 'x' : `*l${level - 1}`;
      return `  L${level}: &l${level} [${Array(9).fill(before).join(', ')}]\n`;
    });
    assert.deepEqual(codesOf(`run: x\nenvs:\n${levels.join('')}`), ['alias-bomb']);
  });

  it('with aliases to a large list is checked once', () => {
    const items = Array.from({ length: 2000 }, () => '      - 80').join('\n');
    const uses = Array.from({ length: 2000 }, () => '    - *r').join('\n');
    const text = `run: x\nresources:\n  any_of:\n    - &r\n      ports:\n${items.replace(/^/gm, '  ')}\n${uses}\n`;
    assert.deepEqual(codesOf(text), []);
  });

  it('with an alias of itself is refused', () => {
    assert.deepEqual(codesOf('run: x\nenvs: &e\n  A: *e\n'), ['alias-bomb']);
    assert.deepEqual(codesOf('resources: &r\n  any_of: [*r]\n'), ['unknown-field']);
  });

  it('with many syntax errors stops early', () => {
    assert.ok(codesOf('a: "x\n'.repeat(3000)).length <= 20);
    assert.ok(codesOf('\ta: 1\nb\n'.repeat(3000)).length <= 20);
  });

  it(`of any text never throws, and its ranges are inside (seed ${seed})`, () => {
    const base = 'name: a\nresources:\n  accelerators: {V100: 4}\nenvs:\n  A: "b"\nrun: |\n  echo hi\n  ls\n';
    const edit = fc.tuple(fc.nat(base.length), fc.nat(3), fc.constantFrom(...REPLACEMENTS));
    const mangled = fc
      .array(edit, { minLength: 1, maxLength: 6 })
      .map((edits) =>
        edits.reduce((text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut), base),
      );
    fc.assert(
      fc.property(fc.oneof(mangled, mangled, fc.string({ unit: 'binary', maxLength: 200 })), (text) => {
        looksLikeTask(text, 'x.yaml');
        const { task, problems } = parseTask(text);
        assert.equal(
          task === undefined,
          problems.some(({ severity }) => severity === 'error'),
        );
        for (const { start, end, fixes } of problems) {
          for (const span of [{ start, end }, ...(fixes ?? [])]) {
            assert.ok(
              0 <= span.start && span.start <= span.end && span.end <= text.length,
              JSON.stringify(span),
            );
          }
        }
      }),
      { seed, numRuns: 3000 },
    );
  });
});
