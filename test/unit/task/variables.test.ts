import assert from 'node:assert/strict';
import { fillIn, filledMounts, localPaths, parseTask, valuesOf, applyOverrides } from '../../../src/task';

function taskOf(text: string) {
  const { task } = parseTask(text);
  assert.ok(task);
  return task;
}

describe('variables in the paths of a task', () => {
  const values = { A: 'x', LONG_NAME2: 'y z', EMPTY: '', OPEN: null, PRICE: '$A', AMP: '$&' };

  // As `_fill_in_env_vars` of SkyPilot's sky/task.py does.
  for (const [written, filled] of [
    ['$A/${A}', 'x/x'],
    ['./m-${LONG_NAME2}b', './m-y zb'],
    ['$LONG_NAME2.txt', 'y z.txt'],
    ['a$EMPTY/b', 'a/b'],
    ['$NONE/${NONE}', '$NONE/${NONE}'],
    ['$AB', '$AB'],
    ['$OPEN', '$OPEN'],
    ['${A:-other}', 'x:-other}'],
    ['${NONE:-other}', '${NONE:-other}'],
    ['$PRICE', '$A'],
    ['$AMP', '$&'],
    ['${A', 'x'],
    ['$A}', 'x'],
    ['$1 $ $$A ${}', '$1 $ $x ${}'],
    ['\\$A', '\\x'],
    ['$constructor', '$constructor'],
  ] as const)
    it(`make of ${written} ${filled}`, () => assert.equal(fillIn(written, values), filled));

  it('have the values of overrides, and a secret’s before a variable’s', () => {
    const task = taskOf('envs: {A: 1, B: 2}\nsecrets: {B: 3, C:}\nrun: x\n');
    assert.deepEqual(valuesOf(applyOverrides(task, { envs: { A: '9' }, secrets: { C: '4' } })), {
      A: '9',
      B: '3',
      C: '4',
    });
  });

  it('are filled in on both sides of file_mounts, and in what is below', () => {
    const task = taskOf(
      'envs: {A: a, N: 2}\nfile_mounts:\n  /m/$A: ./${A}\n  ~/s: {source: "s3://b/$A", mode: COPY, persistent: true}\n  ~/l: {source: [$A, $X]}\nrun: x\n',
    );
    assert.deepEqual(filledMounts(task), {
      '/m/a': './a',
      '~/s': { source: 's3://b/a', mode: 'COPY', persistent: true },
      '~/l': { source: ['a', '$X'] },
    });
  });

  it('are known to whoever looks for the paths of a file', () => {
    const paths = (text: string) => localPaths(text).map(({ path }) => path);
    assert.deepEqual(
      paths(
        'envs: {A: a, U: "s3://b", OPEN:}\nsecrets: {S: s}\nworkdir: ./$A-$S\nfile_mounts: {/1: "${A}.txt", /2: $U/x, /3: $OPEN, /4: $NONE, /5: a$}\n',
      ),
      ['./a-s', 'a.txt', 'a$'],
    );
  });
});
