import assert from 'node:assert/strict';
import { folderOf, newEntry, StagedJobs, weightOf, type Entry } from '../../../src/engine/stagedJobs';
import { aJob } from '../store/builders';

const entry = (uuid: string, given: Partial<Entry> = {}): Entry => ({
  ...newEntry({
    uuid,
    weight: 2,
    nodes: ['a'],
    phase: 'staged',
    recall: false,
    reserved: false,
    home: 'h',
    key: '',
    files: false,
  }),
  ...given,
});

describe('the books of staged jobs', () => {
  let jobs: StagedJobs;
  beforeEach(() => {
    jobs = new StagedJobs();
  });

  it('count what waits by the first node of a home', () => {
    const one = entry('u');
    jobs.add(one);
    jobs.add(entry('v', { nodes: ['a', 'b'], weight: 0.5, phase: 'planned' }));
    assert.deepEqual(jobs.amount('a'), { count: 2, weight: 2.5 });
    assert.deepEqual(jobs.amount('b'), { count: 0, weight: 0 });
    assert.equal(jobs.size, 1, 'one is on its way only');
    jobs.remove(one);
    jobs.remove(one);
    assert.deepEqual(jobs.amount('a'), { count: 1, weight: 0.5 });
    assert.equal(jobs.size, 0);
  });

  it('know an entry from the one that is planned after it', () => {
    const [before, after] = [entry('u'), entry('u')];
    jobs.add(before);
    assert.ok(jobs.isCurrent(before));
    jobs.remove(before);
    jobs.add(after);
    assert.ok(!jobs.isCurrent(before));
    assert.ok(jobs.isCurrent(after));
  });

  it('say where a job is, and its place among those there', () => {
    for (let n = 1; n <= 22; n++) jobs.add(entry(`u${n}`, { name: String(100 - n) }));
    jobs.add(entry('v', { nodes: ['b', 'c'], name: '1' }));
    const place = (uuid: string): string | undefined => jobs.words(uuid)?.replace('staged on a, ', '');
    assert.deepEqual(['u22', 'u21', 'u20', 'u19', 'u12', 'u11', 'u10', 'u2', 'u1'].map(place), [
      '1st',
      '2nd',
      '3rd',
      '4th',
      '11th',
      '12th',
      '13th',
      '21st',
      '22nd',
    ]);
    assert.equal(jobs.words('v'), 'staged on b, c, 1st');
    const first = jobs.get('u22');
    assert.ok(first);
    jobs.remove(first);
    assert.equal(place('u21'), '1st');
  });

  it('say nothing of one that is on its way, and what is not known', () => {
    jobs.add(entry('u', { phase: 'sent' }));
    jobs.add(entry('v', { phase: 'unsure' }));
    assert.equal(jobs.words('u'), undefined);
    assert.match(jobs.words('v') ?? '', /^staged on a, which cannot be reached/);
    assert.equal(jobs.words('w'), undefined);
  });
});

describe('a staged job', () => {
  it('is asked for by its folder, or by its uuid alone', () => {
    assert.equal(folderOf({ uuid: 'u', name: 'key.class.u-0' }), 'key.class.u-0');
    assert.equal(folderOf({ uuid: 'u', name: undefined }), '0.0.u-0');
  });

  it('weighs its GPUs, or its CPUs', () => {
    assert.equal(weightOf(aJob(1)), 2);
    const cpus = { numNodes: 1, alternatives: [{ cpus: 3, memoryMiB: 0 }] };
    assert.equal(weightOf(aJob(1, { demand: cpus })), 3);
  });
});
