import { readdirSync, readFileSync } from 'node:fs';
import { taskOf } from '../../test/support/world';
import { Samples, type Case } from '../case';
import { Lab, pause } from '../lab';

export const cancelAll: Case = {
  name: 'cancel-all',
  title: 'cancel of all jobs, 50 that run and 1,000 that wait → none is left',
  peer: 'nothing comparable',
  target: [{ of: 'returned', most: 1000 }],
  floor: 'one round trip, one flush of the journal, one look at /proc',
  async run({ quick }) {
    const running = quick ? 5 : 50;
    const waiting = quick ? 50 : 1000;
    const lab = await Lab.open({ gpus: running });
    const samples = new Samples();
    const { world } = lab;
    try {
      const task = taskOf(
        'resources: {accelerators: V100:1, cpus: 0.01}\nrun: |\n  sleep 1000 &\n  sleep 1000',
      );
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        await Promise.all(Array.from({ length: running + waiting }, () => world.submit('lab', task)));
        await world.until(() => world.engine.view('lab')?.running === running, 'as many run as can', 120_000);
        // What waits is on its way to the node until it is staged.
        await pause(quick ? 500 : 3_000);
        const start = performance.now();
        await world.engine.cancel('lab', 'all');
        samples.add('returned', 'ms', performance.now() - start);
        while (ofJobs() > 0) await pause(5);
        samples.add('last process gone', 'ms', performance.now() - start);
        await lab.idle();
        samples.add('all told as cancelled', 'ms', performance.now() - start);
      }
      return {
        series: samples.series(),
        notes: [`${running} jobs of three processes each run on one node; ${waiting} wait, staged there.`],
      };
    } finally {
      await lab.close();
    }
  },
};

/** How many processes of jobs there are. */
function ofJobs(): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return (
        /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'utf8').includes('CLUSTER_QUEUE_JOB=')
      );
    } catch {
      return false;
    }
  }).length;
}
