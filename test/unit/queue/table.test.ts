import assert from 'node:assert/strict';
import { age, duration, renderQueue, roughAge, roughDuration, type JobRecord } from '../../../src/queue';
import { demand } from './builders';

const MIN = 60_000;
const NOW = Date.UTC(2026, 0, 2, 12);

function aRecord(id: number, more: Partial<JobRecord> = {}): JobRecord {
  return {
    uuid: `uuid-${id}`,
    cluster: 'mycluster',
    id,
    name: `job${id}`,
    user: 'alice',
    status: 'PENDING',
    priority: 0,
    order: id,
    demand: demand('1xV100'),
    spec: { envs: {}, resources: '1x[V100:1]' },
    submittedAt: NOW - 10 * MIN,
    ...more,
  };
}

const running = (node: string, devices: number[]): Partial<JobRecord> => ({
  status: 'RUNNING',
  startedAt: NOW - 10 * MIN,
  placement: { ranks: [{ node, devices }], alternative: 0 },
});

describe('age', () => {
  it('says how long ago in one unit', () => {
    const cases: [number, string][] = [
      [-5, '< 1 sec ago'],
      [999, '< 1 sec ago'],
      [1000, '1 sec ago'],
      [10_000, '10 secs ago'],
      [MIN, '1 min ago'],
      [10 * MIN + 59_999, '10 mins ago'],
      [60 * MIN, '1 hr ago'],
      [150 * MIN, '2 hrs ago'],
      [24 * 60 * MIN, '1 day ago'],
      [3 * 24 * 60 * MIN, '3 days ago'],
      [15 * 24 * 60 * MIN, '2 weeks ago'],
      [61 * 24 * 60 * MIN, '2 months ago'],
      [800 * 24 * 60 * MIN, '2 years ago'],
    ];
    for (const [ms, text] of cases) assert.equal(age(ms), text);
  });
});

describe('what a row says of a time', () => {
  it('is true, and changes exactly when it says', () => {
    for (const rough of [roughAge, roughDuration]) {
      const DAY = 24 * 60 * MIN;
      for (let at = -5; at < 800 * DAY;) {
        const { text, forMs } = rough(at);
        assert.ok(forMs > 0, `${at}`);
        assert.equal(rough(at + forMs - 1).text, text, `${at}`);
        assert.notEqual(rough(at + forMs).text, text, `${at}`);
        at += forMs;
      }
    }
    const texts = (rough: typeof roughAge, ...at: number[]): string[] => at.map((ms) => rough(ms).text);
    assert.deepEqual(texts(roughAge, 0, 19_999, 59_999, MIN, 61 * MIN), [
      '< 10 secs ago',
      '10 secs ago',
      '50 secs ago',
      '1 min ago',
      '1 hr ago',
    ]);
    assert.deepEqual(texts(roughDuration, 9999, 25_000, 65_000, 62.5 * MIN, 26.5 * 60 * MIN), [
      '< 10s',
      '20s',
      '1m',
      '1h 2m',
      '1d 2h',
    ]);
  });
});

describe('duration', () => {
  it('is exact to the second and leaves zero parts out', () => {
    const cases: [number, string][] = [
      [-1, '< 1s'],
      [999, '< 1s'],
      [65_000, '1m 5s'],
      [60 * MIN, '1h'],
      [(62 * 60 + 23) * 1000, '1h 2m 23s'],
      [(26 * 60 + 3) * MIN, '1d 2h 3m'],
    ];
    for (const [ms, text] of cases) assert.equal(duration(ms), text);
  });
});

describe('renderQueue', () => {
  it('prints the worked example, newest first', () => {
    const jobs = [
      aRecord(1, {
        name: 'huggingface',
        status: 'SUCCEEDED',
        startedAt: NOW - 20 * MIN,
        endedAt: NOW - 10 * MIN,
        submittedAt: NOW - 20 * MIN,
      }),
      aRecord(2, running('node1', [0])),
      aRecord(3, running('node1', [1])),
      aRecord(4),
      aRecord(5, running('node1', [2, 3])),
    ];
    assert.equal(
      renderQueue(jobs, NOW),
      [
        'ID  NAME         USER   SUBMITTED    STARTED      STATUS',
        '5   job5         alice  10 mins ago  10 mins ago  RUNNING',
        '4   job4         alice  10 mins ago  -            PENDING',
        '3   job3         alice  10 mins ago  10 mins ago  RUNNING',
        '2   job2         alice  10 mins ago  10 mins ago  RUNNING',
        '1   huggingface  alice  20 mins ago  20 mins ago  SUCCEEDED',
      ].join('\n'),
    );
  });

  it('adds how long, with what, where and why when wide', () => {
    const jobs = [
      aRecord(1, running('node1', [2, 3])),
      aRecord(2),
      aRecord(3, { status: 'FAILED', startedAt: NOW - 65_000, endedAt: NOW, message: 'exit code 1' }),
    ];
    assert.equal(
      renderQueue(jobs, NOW, {
        wide: true,
        reason: ({ status }) => (status === 'PENDING' ? 'held' : undefined),
      }),
      [
        'ID  NAME  USER   SUBMITTED    STARTED      STATUS   DURATION  RESOURCES   NODES       REASON',
        '3   job3  alice  10 mins ago  1 min ago    FAILED   1m 5s     1x[V100:1]  -           exit code 1',
        '2   job2  alice  10 mins ago  -            PENDING  -         1x[V100:1]  -           held',
        '1   job1  alice  10 mins ago  10 mins ago  RUNNING  10m       1x[V100:1]  node1[2,3]  -',
      ].join('\n'),
    );
  });

  it('stays aligned when coloured', () => {
    const colour = (text: string) => `\u001b[1m${text}\u001b[0m`;
    const plain = renderQueue([aRecord(1), aRecord(22)], NOW, { wide: true });
    const coloured = renderQueue([aRecord(1), aRecord(22)], NOW, { wide: true, colour });
    assert.notEqual(coloured, plain);
    assert.equal(coloured.replaceAll('\u001b[1m', '').replaceAll('\u001b[0m', ''), plain);
  });

  it('stays aligned with wide characters and in one line with line breaks and escapes', () => {
    const jobs = [
      aRecord(1, { name: '訓練' }),
      aRecord(2, { name: 'a\n\u001b[2Jb' }),
      aRecord(3, { name: '' }),
    ];
    assert.deepEqual(renderQueue(jobs, NOW).split('\n').slice(1), [
      '3   -       alice  10 mins ago  -        PENDING',
      '2   a [2Jb  alice  10 mins ago  -        PENDING',
      '1   訓練    alice  10 mins ago  -        PENDING',
    ]);
  });

  it('prints the header alone for an empty queue', () => {
    assert.equal(renderQueue([], NOW), 'ID  NAME  USER  SUBMITTED  STARTED  STATUS');
  });
});
