import assert from 'node:assert/strict';
import { Blames } from '../../../src/engine/blames';
import { AgentError } from '../../../src/node';
import { ConnectError } from '../../../src/transport';

describe('a node that did not take a job', () => {
  let blames: Blames;
  beforeEach(() => {
    blames = new Blames();
  });

  it('is at fault when it said no, cannot be reached, or its disk is full', () => {
    const errors = [
      new AgentError('write', 'a said no'),
      new ConnectError('closed', 'a', 'a hung up', true),
      new Error('tar: No space left on device'),
      'Disk quota exceeded',
    ];
    for (const error of errors)
      for (let n = 0; n < 5; n++) assert.equal(blames.add('u', 'a', error).of, 'node');
    assert.deepEqual(blames.add('u', 'a', errors[0]), {
      of: 'node',
      words: 'a cannot take jobs: a said no',
    });
    assert.deepEqual(
      blames.add('u', 'a', new Error('no such file')),
      { of: 'job', words: 'a could not take it: no such file; it is tried again', retryMs: 5_000 },
      'none of that was the fault of the job',
    );
  });

  it('lets the job be tried three times more, each after a longer pause', () => {
    const pauses = Array.from({ length: 5 }, () => {
      const blame = blames.add('u', 'a', new Error('x'));
      return blame.of === 'job' && blame.retryMs;
    });
    assert.deepEqual(pauses, [5_000, 10_000, 15_000, undefined, undefined]);
    assert.equal(blames.add('u', 'b', new Error('x')).words, 'b cannot take the job: x');
    assert.match(blames.add('other', 'a', new Error('x')).words, /it is tried again$/);
  });

  it('is forgotten with the job', () => {
    for (let n = 0; n < 4; n++) blames.add('u', 'a', new Error('x'));
    blames.forget('u');
    assert.match(blames.add('u', 'a', new Error('x')).words, /it is tried again$/);
  });
});
