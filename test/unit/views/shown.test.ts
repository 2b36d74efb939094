import assert from 'node:assert/strict';
import type { Queue } from '../../../src/control';
import type { ClusterView, JobView } from '../../../src/engine';
import { ShownJobs } from '../../../src/views/shown';
import { aJob } from '../store/builders';

/** A queue of ended jobs, numbered from 1, that counts how often it is asked. */
class Counted {
  lists = 0;
  finds = 0;
  constructor(private readonly count: number) {}

  get queue(): Queue {
    const view = (id: number): JobView => ({ record: aJob(id, { status: 'SUCCEEDED' }) });
    const cluster: ClusterView = { name: 'lab', local: false, nodes: [], pending: 0, staged: 0, running: 0 };
    const asked: Pick<Queue, 'view' | 'jobs' | 'job'> = {
      view: () => cluster,
      jobs: (_, limit = 200) => {
        this.lists++;
        return Array.from({ length: Math.min(limit, this.count) }, (_row, index) => view(this.count - index));
      },
      job: (_, id) => {
        this.finds++;
        return view(id);
      },
    };
    return asked as Queue;
  }
}

describe('the jobs that have rows', () => {
  it('are the newest 200, and twice as many each time that older ones are asked for', () => {
    const { queue } = new Counted(1000);
    const shown = new ShownJobs();
    const sizes = Array.from({ length: 4 }, () => {
      const { jobs, more } = shown.look(queue, 'lab') ?? { jobs: [], more: false };
      shown.showOlder('lab');
      return [jobs.length, jobs[0]?.record.id, more];
    });
    assert.deepEqual(sizes, [
      [200, 1000, true],
      [400, 1000, true],
      [800, 1000, true],
      [1000, 1000, false],
    ]);
  });

  it('are looked at once for a turn, and anew in the next', async () => {
    const counted = new Counted(10);
    const { queue } = counted;
    const shown = new ShownJobs();
    shown.look(queue, 'lab');
    for (let id = 1; id <= 10; id++) assert.equal(shown.job(queue, 'lab', id).record.id, id);
    assert.deepEqual([counted.lists, counted.finds], [1, 0]);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    shown.job(queue, 'lab', 1);
    assert.deepEqual([counted.lists, counted.finds], [1, 1]);
  });
});
