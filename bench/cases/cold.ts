import { Samples, type Case } from '../case';
import { Lab } from '../lab';

export const cold: Case = {
  name: 'cold',
  title: 'submit → first byte of output at the client, no connection yet',
  peer: 'plain `ssh host echo hi`',
  target: [{ of: 'cluster queue', against: 'ssh', most: 1 }],
  floor: 'key exchange and authentication; then as an open connection',
  async run({ quick }) {
    const lab = await Lab.open();
    try {
      const samples = new Samples();
      for (let i = 0; i < (quick ? 4 : 25); i++) {
        // The node is known and has the agent; the new engine has no connection.
        await lab.world.shut();
        await lab.world.open();
        const ours = await lab.firstLogByte('run: echo hi');
        const theirs = await lab.firstByte(false, 'echo hi');
        if (i === 0) continue;
        samples.add('cluster queue', 'ms', ours);
        samples.add('ssh', 'ms', theirs);
      }
      return { series: samples.series() };
    } finally {
      await lab.close();
    }
  },
};
