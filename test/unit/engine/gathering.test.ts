import assert from 'node:assert/strict';
import { Gathering } from '../../../src/engine/gathering';
import type { JobRecord } from '../../../src/queue';
import { aJob } from '../store/builders';

describe('nodes that are just being reached', () => {
  let now: number;
  let reaching: boolean;
  let waiting: JobRecord[];
  let later: number[];
  let gathering: Gathering;
  const plain = aJob(1);
  const gang = aJob(2, { demand: { ...plain.demand, numNodes: 2 } });
  const [only] = plain.demand.alternatives;
  assert.ok(only);
  const either = aJob(3, { demand: { numNodes: 1, alternatives: [only, only] } });
  beforeEach(() => {
    now = 5_000;
    reaching = true;
    waiting = [plain, gang];
    later = [];
    gathering = new Gathering({
      isReaching: () => reaching,
      waiting: () => waiting,
      later: (ms) => later.push(ms),
      now: () => now,
    });
  });

  it('are waited for by a gang for 1.5 s, and once', () => {
    assert.equal(gathering.isOn, false);
    assert.equal(gathering.look(), true);
    now += 1_499;
    assert.equal(gathering.look(), true);
    assert.equal(gathering.isOn, true);
    now += 1;
    assert.equal(gathering.look(), false);
    assert.equal(gathering.isOn, false);
    assert.deepEqual(later, [1_500], 'what may start is looked at then');
  });

  it('are waited for by a job that may choose', () => {
    waiting = [either];
    assert.equal(gathering.look(), true);
  });

  it('are waited for by nothing else', () => {
    waiting = [plain];
    assert.equal(gathering.look(), false);
    waiting = [];
    assert.equal(gathering.look(), false);
    assert.deepEqual(later, [], 'and the time has not begun');
  });

  it('are waited for until they have answered', () => {
    assert.equal(gathering.look(), true);
    reaching = false;
    assert.equal(gathering.look(), false);
  });

  it('are not waited for when the job is far behind in the queue', () => {
    waiting = [...Array.from({ length: 1_000 }, () => plain), gang];
    assert.equal(gathering.look(), false);
    waiting = waiting.slice(1);
    assert.equal(gathering.look(), true);
  });
});
