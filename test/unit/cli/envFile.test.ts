import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseEnvFile } from '../../../src/cli/envFile';

const ENVIRONMENT = { HOME: '/home/me', BLANK: '' };

function read(text: string): Record<string, string | undefined> {
  return Object.fromEntries(parseEnvFile(text, ENVIRONMENT).entries.map(({ name, value }) => [name, value]));
}

describe('a file of variables', () => {
  // What `dotenv_values` of python-dotenv 1.2.4 returned for the same text.
  for (const [what, text, values] of [
    ['a hash inside a value', 'HASH=abc#def', { HASH: 'abc#def' }],
    ['a comment after white space', 'A=b # c\nD=e\t#f', { A: 'b', D: 'e' }],
    ['a value that begins with a hash', 'A=#b', { A: '#b' }],
    ['a comment instead of a value', 'A= # b\nC=   #d', { A: '', C: '' }],
    ['a line of comment', '# A=1\n  # B=2\nC=3', { C: '3' }],
    ['export', 'export A=1\nexport\tB=2\nexportC=3', { A: '1', B: '2', exportC: '3' }],
    ['spaces around', '  A = b c  \n', { A: 'b c' }],
    ['quotes and a comment', `A="b" # c\nD='e' #f`, { A: 'b', D: 'e' }],
    ['a hash in quotes', `A="b # c"\nD='e #f'`, { A: 'b # c', D: 'e #f' }],
    ['escapes in single quotes', String.raw`A='it\'s \\ \n'`, { A: String.raw`it's \ \n` }],
    [
      'escapes in double quotes',
      String.raw`A="\"\'\\ \a\b\f\n\r\t\v \x"`,
      { A: '"\'\\ \x07\b\f\n\r\t\v \\x' },
    ],
    ['a backslash without quotes', String.raw`A=\n`, { A: String.raw`\n` }],
    ['several lines in quotes', `A="b\nc"\nD='e\n\nf'\nG=h`, { A: 'b\nc', D: 'e\n\nf', G: 'h' }],
    ['quotes inside a value', `A=b"c"\nD=e'`, { A: 'b"c"', D: "e'" }],
    ['backticks', 'A=`b c` # d', { A: '`b c`' }],
    ['an empty value', 'A=\nB=""\nC=1', { A: '', B: '', C: '1' }],
    ['a name without =', 'A\nB=1', { A: undefined, B: '1' }],
    ['an = in the value', 'A=b=c', { A: 'b=c' }],
    ['a name in quotes', `'A B'=1`, { 'A B': '1' }],
    ['the last of several', 'A=1\nA=2', { A: '2' }],
    ['lines that end as on Windows', 'A=1\r\nB="x\r\ny"\r\n', { A: '1', B: 'x\ny' }],
    ['the mark of UTF-8', '\uFEFFA=1', { A: '1' }],
    ['a variable of the file', 'A=1\nB=${A}/x\nC="${A}"\nD=\'${A}\'', { A: '1', B: '1/x', C: '1', D: '1' }],
    ['a variable of the environment', 'A=${HOME}/x', { A: '/home/me/x' }],
    ['the file before the environment', 'HOME=/x\nA=${HOME}', { HOME: '/x', A: '/x' }],
    ['a variable that is given later', 'A=${B}\nB=1', { A: '', B: '1' }],
    ['a default', 'A=${NO:-b c}\nD=${HOME:-e}\nF=${BLANK:-g}', { A: 'b c', D: '/home/me', F: '' }],
    ['a variable without braces', 'A=$HOME', { A: '$HOME' }],
    ['other words in braces', 'A=${HOME:x}', { A: '${HOME:x}' }],
    ['a variable without a value', 'HOME\nA=${HOME:-x}', { HOME: undefined, A: '' }],
    ['names that every object has', 'A=${constructor:-x}\n__proto__=1', { A: 'x', ['__proto__']: '1' }],
  ] as const)
    it(`has ${what}`, () => {
      assert.deepEqual(read(text), values);
      assert.deepEqual(parseEnvFile(text, ENVIRONMENT).unreadable, []);
    });

  it('has lines that cannot be read, which take nothing else along', () => {
    const { entries, unreadable } = parseEnvFile('A=1\n=2\nB="x" y\n\n\nC="z\nD=4\nE F=5\n', {});
    assert.deepEqual(unreadable, [2, 3, 6, 8]);
    assert.deepEqual(
      entries.map(({ name, value, line }) => [name, value, line]),
      [
        ['A', '1', 1],
        ['D', '4', 7],
      ],
    );
  });

  it('may be any text', () => {
    const pieces = ['A', '=', '#', "'", '"', '\\', '\n', '\r\n', ' ', 'export ', '${A', ':-', '}', 'é', '\0'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces)), (words) => {
        const { unreadable } = parseEnvFile(words.join(''), {});
        assert.deepEqual(
          unreadable,
          [...unreadable].sort((a, b) => a - b),
        );
      }),
    );
  });
});
