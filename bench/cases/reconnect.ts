import { taskOf } from '../../test/support/world';
import { Samples, type Case } from '../case';
import { Lab } from '../lab';
import { DelayingProxy } from '../proxy';

export const reconnect: Case = {
  name: 'reconnect',
  title: 'a new engine finds live jobs on a node → all reconciled',
  peer: 'nothing comparable',
  target: [{ of: '1000 live jobs', most: 1000 }],
  floor: 'one connection and one round trip',
  async run({ quick }) {
    const lab = await Lab.open();
    const proxy = await DelayingProxy.open(lab, 0);
    const samples = new Samples();
    const count = quick ? 20 : 1000;
    try {
      lab.world.nodes.configure(
        `Host far\n  HostName 127.0.0.1\n  Port ${proxy.port}\n  HostKeyAlias [${lab.address}]:${lab.port}`,
      );
      await lab.world.cluster('far', ['far'], count);
      await reopened(lab, proxy, '0 live jobs', samples);
      const task = taskOf('resources: {accelerators: V100:1, cpus: 0.001}\nrun: sleep 1000');
      await Promise.all(Array.from({ length: count }, () => lab.world.submit('far', task)));
      await lab.world.until(
        () =>
          lab.world.engine.view('far')?.running === count &&
          lab.world.engine.jobs('far', count).every(({ record }) => record.status === 'RUNNING'),
        'all run',
        300_000,
      );
      for (let round = 0; round < (quick ? 2 : 8); round++) {
        await reopened(lab, proxy, `${count} live jobs`, samples);
      }
      void lab.world.engine.cancel('far', 'all');
      await lab.idle();
      return {
        series: samples.series(),
        notes: [
          'Each job is four processes, of which two are its bash and what that runs. The jobs are asked for in one request (`query`), so the round trips do not grow with them; chunks are what passed a proxy, both ways together.',
        ],
      };
    } finally {
      proxy.close();
      await lab.close();
    }
  },
};

async function reopened(lab: Lab, proxy: DelayingProxy, label: string, samples: Samples): Promise<void> {
  await lab.world.shut();
  await lab.world.open();
  const chunks = proxy.chunks;
  const start = performance.now();
  lab.world.engine.connect('far');
  await lab.world.up('far');
  samples.add(label, 'ms', performance.now() - start);
  samples.add(`${label}, chunks`, 'chunks', proxy.chunks - chunks);
}
