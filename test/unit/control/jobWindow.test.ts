import assert from 'node:assert/strict';
import { JobWindow, WINDOW } from '../../../src/control/jobWindow';
import type { JobView } from '../../../src/engine';
import type { JobStatus } from '../../../src/queue';
import { aJob } from '../store/builders';

describe('the jobs that a client holds', () => {
  const view = (id: number, status: JobStatus = 'SUCCEEDED'): JobView => ({
    record: aJob(id, { status }),
  });
  const ids = (views: readonly JobView[]): number[] => views.map(({ record }) => record.id);

  it('are the newest, and all that are on nodes, however old, also after a trim', () => {
    const window = new JobWindow({
      floor: 900,
      jobs: [view(900), view(7, 'RUNNING'), view(5, 'SETTING_UP')],
    });
    assert.deepEqual(ids(window.newest(1)), [900, 7, 5]);
    for (let id = 901; id <= 900 + 3 * WINDOW; id++) window.set(view(id));
    assert.deepEqual(ids(window.newest(2)), [900 + 3 * WINDOW, 899 + 3 * WINDOW, 7, 5]);
    window.set(view(7));
    assert.deepEqual(ids(window.newest(1)), [900 + 3 * WINDOW, 5]);
  });

  it('do not cover more than was asked for because of what is older and on nodes', () => {
    const window = new JobWindow({ floor: 900, jobs: [view(900), view(7, 'RUNNING')] });
    assert.ok(window.covers(1) && !window.covers(2));
  });
});
