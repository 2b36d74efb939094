import { Samples, type Case } from '../case';
import { Lab } from '../lab';

export const dispatch: Case = {
  name: 'dispatch',
  title: 'submit → first byte of output at the client, open connection',
  peer: 'the same command by `ssh` over a ControlMaster',
  target: [{ of: 'cluster queue', against: 'ssh, ControlMaster', most: 0.7 }],
  floor: 'one fdatasync, one round trip, and the start of a supervisor and of the job’s own interactive bash',
  async run({ quick }) {
    const lab = await Lab.open();
    try {
      await lab.openMaster();
      const samples = new Samples();
      for (let i = 0; i < (quick ? 8 : 60); i++) {
        const ours = await lab.firstLogByte('run: echo hi');
        const theirs = await lab.firstByte(true, 'echo hi');
        const interactive = await lab.firstByte(true, "bash -ic 'echo hi'");
        if (i < 2) continue;
        samples.add('cluster queue', 'ms', ours);
        samples.add('ssh, ControlMaster', 'ms', theirs);
        samples.add('ssh, ControlMaster, bash -i', 'ms', interactive);
      }
      return { series: samples.series() };
    } finally {
      await lab.close();
    }
  },
};
