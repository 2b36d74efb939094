import { readdirSync, readFileSync } from 'node:fs';
import { taskOf } from '../../test/support/world';
import { Samples, type Case } from '../case';
import { Lab, pause } from '../lab';
import { DelayingProxy } from '../proxy';

/** Ticks of /proc/PID/stat in a second, as every Linux says. */
const TICKS = 100;

export const idle: Case = {
  name: 'idle',
  title: 'CPU and traffic while 8 jobs run silently',
  peer: 'nothing comparable',
  target: [
    { of: 'client', most: 0.2 },
    { of: 'node', most: 0.2 },
    { of: 'traffic', most: 1 },
  ],
  floor: 'one look at the node’s jobs in half a minute, which is a sign of life too',
  async run({ quick }) {
    const lab = await Lab.open();
    const proxy = await DelayingProxy.open(lab, 0);
    const samples = new Samples();
    try {
      lab.world.nodes.configure(
        `Host far\n  HostName 127.0.0.1\n  Port ${proxy.port}\n  HostKeyAlias [${lab.address}]:${lab.port}`,
      );
      await lab.world.cluster('far', ['far'], 8);
      const task = taskOf('resources: {accelerators: V100:1, cpus: 0.01}\nrun: sleep 1000');
      for (let i = 0; i < 8; i++) {
        const { id } = await lab.world.submit('far', task);
        lab.world.engine.log('far', id);
      }
      // What V8 tidies up after a start takes it half a minute.
      await pause(quick ? 2000 : 30_000);
      const seconds = quick ? 5 : 30;
      for (let round = 0; round < (quick ? 1 : 2); round++) {
        const before = { cpu: process.cpuUsage(), node: nodeTicks(lab.home), chunks: proxy.chunks };
        await pause(seconds * 1000);
        const { user, system } = process.cpuUsage(before.cpu);
        samples.add('client', '% of a core', (user + system) / 1e4 / seconds);
        samples.add('node', '% of a core', ((nodeTicks(lab.home) - before.node) * 100) / TICKS / seconds);
        samples.add('traffic', 'packets per 15 s', ((proxy.chunks - before.chunks) * 15) / seconds);
      }
      void lab.world.engine.cancel('far', 'all');
      await lab.idle();
      return {
        series: samples.series(),
        notes: [
          'The client is this process, proxy included; all 8 logs are followed. The node’s side is every process with the node’s home, of the jobs and of sessions.',
        ],
      };
    } finally {
      proxy.close();
      await lab.close();
    }
  },
};

/** CPU ticks of all processes of a node, with those of children that have ended. */
function nodeTicks(home: string): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${home}\0`)) continue;
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      for (const field of fields.slice(11, 15)) ticks += Number(field);
    } catch {
      // Ended in between.
    }
  }
  return ticks;
}
