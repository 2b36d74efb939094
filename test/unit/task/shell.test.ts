import assert from 'node:assert/strict';
import { shellProblems, type ShellParser } from '../../../src/task';

/** Finds the word BAD, or at the end that the word `fi` is missing. */
const parse: ShellParser = (script) => {
  const bad = script.indexOf('BAD');
  if (bad >= 0)
    return {
      errors: [
        { message: 'it is bad', pos: bad },
        { message: 'and more', pos: bad + 1 },
      ],
    };
  if (script.includes('if ') && !script.includes('fi'))
    return { errors: [{ message: "expected 'fi'", pos: script.length }] };
  return {};
};

function seen(text: string): string[] {
  return shellProblems(text, parse).map(
    ({ code, start, end }) => `${code} <${text.slice(start, end)}> at ${start}`,
  );
}

describe('the scripts of a task', () => {
  it('are left alone when they are right', () => {
    assert.deepEqual(seen('run: |\n  echo hi\nsetup: ls\nenvs: {A: BAD}\n'), []);
    assert.deepEqual(seen('run:\n'), []);
  });

  for (const text of [
    'run: echo BAD x\n',
    'run: "echo BAD x"\n',
    'run: |\n  # größer 😀\n\n  if x; then\n    BAD; fi\n  ls\n',
    'run: |-\n\n      a\n        b\n      BAD\nname: x\n',
    'name: a\r\nrun: |\r\n  a\r\n  BAD\r\n',
    'name: a\n---\nsetup: |  # note\n    a BAD\n',
  ]) {
    it(`are marked at the word: ${JSON.stringify(text)}`, () => {
      const [only] = seen(text);
      assert.match(only ?? '', new RegExp(`^shell-syntax <BAD;?> at ${text.indexOf('BAD')}$`));
      assert.equal(seen(text).length, 1);
    });
  }

  it('are marked at their last word when they end too soon', () => {
    const text = 'run: |\n  if x; then\n    y\n\nname: a\n';
    assert.deepEqual(seen(text), [`shell-syntax <y> at ${text.indexOf('y\n')}`]);
  });

  it('are marked at their first line where the place cannot be told', () => {
    assert.deepEqual(seen('run: >\n  echo\n  BAD\n'), ['shell-syntax <>> at 5']);
    assert.deepEqual(seen('run: "a\\tBAD"\n'), ['shell-syntax <"a\\tBAD"> at 5']);
  });
});
