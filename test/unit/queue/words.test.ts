import assert from 'node:assert/strict';
import {
  afterName,
  bytesWords,
  deviceWords,
  filesWords,
  jobsWords,
  queueWords,
  unattendedWords,
} from '../../../src/queue';

describe('what is wrong with a node, after its name', () => {
  it('does not say the name again', () => {
    for (const [words, after] of [
      ['box (10.0.0.3:22) refused the connection: no sshd', '10.0.0.3:22 refused the connection: no sshd'],
      ['cannot reach box (10.0.0.3:22): No route', 'cannot reach 10.0.0.3:22: No route'],
      ['box refused to log in me', 'refused to log in me'],
      ['there is no host named box. Check', 'there is no host named box. Check'],
      ['boxes are full', 'boxes are full'],
    ] as const)
      assert.equal(afterName(words, 'box', undefined), after);
    assert.equal(afterName('me@box.x (box.x:22) closed', 'box.x', 'me@box.x'), 'box.x:22 closed');
  });
});

describe('sizes in words', () => {
  it('have the unit that they are large enough for, and a digit more where there are few', () => {
    const of = (...sizes: number[]): string[] => sizes.map(bytesWords);
    assert.deepEqual(of(0, 1, 999, 1000, 9_940, 20_000), [
      '0 bytes',
      '1 byte',
      '999 bytes',
      '1.0 kB',
      '9.9 kB',
      '20 kB',
    ]);
    assert.deepEqual(of(1e6, 12_345_678, 5e9), ['1.0 MB', '12 MB', '5.0 GB']);
  });
});

describe('how many, in words', () => {
  it('has one of a thing in the singular', () => {
    assert.deepEqual([jobsWords(0), jobsWords(1), jobsWords(2)], ['0 jobs', '1 job', '2 jobs']);
    assert.deepEqual([filesWords(1), filesWords(3)], ['1 file', '3 files']);
  });

  it('leaves out what there is none of', () => {
    assert.equal(queueWords(1, 0), '1 running');
    assert.equal(queueWords(0, 2), '2 waiting');
    assert.equal(queueWords(3, 1), '3 running, 1 waiting');
  });

  it('says what happens to waiting jobs when VS Code is closed', () => {
    assert.deepEqual(unattendedWords(0, 0), []);
    assert.deepEqual(unattendedWords(1, 0), ['1 waits on its node: it starts also when VS Code is closed']);
    assert.deepEqual(unattendedWords(2, 1), [
      '2 wait on their nodes: they start also when VS Code is closed',
      '1 waits for VS Code: it starts only while that is open, or cq engine runs',
    ]);
  });
});

describe('who has a GPU, in words', () => {
  const words = (more: Partial<Parameters<typeof deviceWords>[0]>): string =>
    deviceWords({ index: 0, name: 'V100', free: 0, jobs: [], ...more });

  it('names its jobs, and says what of it is still free', () => {
    assert.equal(words({ free: 1 }), 'free');
    assert.equal(words({ jobs: ['job 1'] }), 'job 1');
    assert.equal(words({ jobs: ['job 1', 'job 3'], free: 1 - 0.1 - 0.2 }), 'job 1, job 3 · 0.7 free');
  });

  it('says who uses it besides', () => {
    assert.equal(words({ foreign: 'eve' }), 'used by eve, outside any queue');
    assert.equal(words({ foreign: 'the cluster lab' }), 'used by the cluster lab');
    assert.equal(words({ foreign: '' }), 'used by ?, outside any queue');
  });
});
