import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { requireSources } from '../../../src/control/mounts';
import { localPath, placesOf } from '../../../src/engine/localPath';
import { addressWith, draftJob, draftVariants } from '../../../src/engine/submit';
import { parseTask, type Task } from '../../../src/task';

function taskOf(text: string): Task {
  const { task } = parseTask(text);
  assert.ok(task, text);
  return task;
}

describe('a submitted task that holds a NUL', () => {
  const options = { cluster: 'c', user: 'me' };
  const task = { ...taskOf('run: x'), envs: {}, secrets: {} };
  for (const [field, changed] of [
    ['run', { run: 'a\0' }],
    ['setup', { setup: '\0' }],
    ['envs.A', { envs: { A: '\0' } }],
    ['secrets.B', { secrets: { A: 'x', B: 'b\0' } }],
    ['secrets.B\\0', { secrets: { 'B\0': 'b' } }],
  ] as const)
    it(`in ${field} is refused`, () =>
      assert.throws(() => draftJob({ ...task, ...changed }, options, 0), {
        code: 'refused',
        message: `${field} of the task holds a NUL character, which no script and no variable can hold: take it out`,
      }));

  it('in one of its variants or its mounts is refused', () => {
    const variants = [
      { suffix: 'a', envs: { A: '1' } },
      { suffix: 'b', envs: { A: '\0' } },
    ] as const;
    assert.throws(() => draftVariants(task, [...variants], options, 0), /envs\.A .* NUL/);
    assert.throws(
      () => requireSources({ ...task, envs: { A: '\0' }, fileMounts: { '/x$A': 's3://b' } }, {}),
      /file_mounts \/x\\0: .* NUL/,
    );
  });
});

describe('the paths of a submitted task', () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-submit-'));
  const here = path.join(root, 'here');
  const beside = path.join(root, 'beside');
  for (const folder of ['here/both', 'here/mine', 'beside/both', 'beside/code', 'beside/code-2'])
    fs.mkdirSync(path.join(root, folder), { recursive: true });
  fs.writeFileSync(path.join(beside, 'data.txt'), '');
  after(() => fs.rmSync(root, { recursive: true, force: true }));

  const file = path.join(beside, 'train.yaml');
  const options = { cluster: 'c', user: 'me', file, folders: [here, beside] };
  const workdir = (text: string): string | undefined => draftJob(taskOf(text), options, 0).spec.workdir;

  it('are taken from the first folder that has them', () => {
    assert.equal(workdir('workdir: .'), here);
    assert.equal(workdir('workdir: both'), path.join(here, 'both'));
    assert.equal(workdir('workdir: mine'), path.join(here, 'mine'));
    assert.equal(workdir('workdir: code'), path.join(beside, 'code'));
    assert.equal(workdir(`workdir: ${beside}`), beside);
    assert.equal(localPath('x', 'code', { file }), path.join(beside, 'code'));
  });

  it('name every place where they are not', () => {
    assert.throws(() => workdir('workdir: none'), {
      code: 'workdir',
      message: `the task's workdir none does not exist: it was looked for as ${path.join(here, 'none')} and as ${path.join(beside, 'none')}`,
    });
    assert.throws(() => workdir('workdir: /no/such'), /workdir \/no\/such does not exist$/);
    assert.deepEqual(placesOf('x', { folders: [here, here] }), [path.join(here, 'x')]);
    assert.deepEqual(placesOf('~/x', { file, folders: [] }), [path.join(os.homedir(), 'x')]);
  });

  it('are folders where a workdir is meant', () => {
    assert.throws(() => workdir('workdir: data.txt'), /workdir .*data\.txt is a file: name the folder/);
  });

  it('have their variables filled in', () => {
    assert.equal(workdir('envs: {N: 2}\nsecrets: {S: code}\nworkdir: $S-${N}'), path.join(beside, 'code-2'));
    assert.deepEqual(
      requireSources(
        taskOf('envs: {N: data}\nfile_mounts: {"/d/$N": ./$N.txt, /s: "s3://b/${N}"}\n'),
        options,
      ),
      [
        { source: path.join(beside, 'data.txt'), destination: '/d/data' },
        { source: 's3://b/data', destination: '/s' },
      ],
    );
    assert.throws(
      () => requireSources(taskOf('file_mounts: {/d: ./$N}\n'), options),
      /^Error: file_mounts \/d: the source \.\/\$N does not exist: it was looked for as .*here\/\$N and as .*beside\/\$N\. Correct the path, or make what it names$/,
    );
  });

  it('are each variant’s own in a sweep', () => {
    const drafts = draftVariants(
      taskOf('envs: {DIR: no}\nworkdir: $DIR\nrun: x'),
      [
        { suffix: 'a', envs: { DIR: 'code' } },
        { suffix: 'b', envs: { DIR: 'both' } },
      ],
      { ...options, uuid: 'first' },
      0,
    );
    assert.deepEqual(
      drafts.map(({ name, spec }) => [name, spec.workdir, spec.envs]),
      [
        ['train-a', path.join(beside, 'code'), { DIR: 'code' }],
        ['train-b', path.join(here, 'both'), { DIR: 'both' }],
      ],
    );
    assert.equal(drafts[0]?.uuid, 'first');
    assert.notEqual(drafts[1]?.uuid, 'first');
  });

  it('are filled in for a repository too, whose record never holds a secret', () => {
    const task = taskOf(
      'envs: {REPO: r, REF: main, T: t}\nsecrets: {T: s3cret}\nworkdir: {url: "https://${T}@host/$REPO", ref: $REF}',
    );
    const { workdir: address = '', git } = draftJob(task, options, 0).spec;
    assert.deepEqual([address, git], ['https://${T}@host/r', { ref: 'main' }]);
    assert.equal(addressWith({ T: 's3cret' }, address), 'https://s3cret@host/r');
    const local = taskOf('envs: {D: code}\nworkdir: {url: ./$D}');
    assert.equal(draftJob(local, options, 0).spec.workdir, path.join(beside, 'code'));
  });
});
