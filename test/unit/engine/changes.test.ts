import assert from 'node:assert/strict';
import { Changes } from '../../../src/engine/changes';
import type { QueueChange } from '../../../src/engine/views';
import { aJob } from '../store/builders';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what changes in a queue', () => {
  let told: QueueChange[];
  let changes: Changes;
  beforeEach(() => {
    told = [];
    changes = new Changes((cluster) => (cluster === 'lab' ? ['other'] : []));
    changes.on((change) => told.push(change));
  });

  it('is told once a turn, of each job what it is now', async () => {
    changes.touch('lab', aJob(1));
    changes.touch('lab', aJob(2));
    changes.touch('lab', aJob(1, { status: 'RUNNING' }));
    changes.touch('far');
    assert.deepEqual(told, []);
    await turn();
    assert.deepEqual(told, [
      {
        clusters: new Set(['lab', 'other', 'far']),
        jobs: [aJob(1, { status: 'RUNNING' }), aJob(2)],
      },
    ]);
    await turn();
    changes.touch('far');
    await turn();
    assert.deepEqual(told.slice(1), [{ clusters: new Set(['far']), jobs: [] }]);
  });

  it('says which jobs went to the archive', async () => {
    changes.archive(aJob(1));
    changes.archive(aJob(2));
    await turn();
    assert.deepEqual(told, [{ clusters: new Set(['lab', 'other']), jobs: [], archived: [aJob(1), aJob(2)] }]);
  });

  it('may come of hearing of a change, and is told then in a turn of its own', async () => {
    const stop = changes.on(() => {
      stop();
      changes.touch('far');
    });
    changes.touch('lab');
    await turn();
    assert.equal(told.length, 1);
    await turn();
    assert.deepEqual(told[1]?.clusters, new Set(['far']));
  });

  it('is told nobody when it is closed', async () => {
    changes.touch('lab');
    changes.close();
    await turn();
    changes.touch('lab');
    await turn();
    assert.deepEqual(told, []);
  });
});
