import { Samples, type Case } from '../case';
import { Lab } from '../lab';

export const dispatch: Case = {
  name: 'dispatch',
  title: 'submit → first byte of output at the client, open connection',
  peer: 'the same command by `ssh` over a ControlMaster',
  target: [{ of: 'cluster queue', against: 'ssh, ControlMaster', most: 0.7 }],
  floor:
    'one fdatasync, one round trip, two forks and the start of an interactive bash; the peer pays two forks, two shells and a client’s start',
  why: 'Where the time goes, by a trace: the job’s folder and its files (five of them before its first line), a fork for the supervisor and one for the job, its interactive bash, and at the client the mirror’s own file, which is written before anybody hears of a line. Of 11 ms 2.4 are until the job is durable and on its way, 5 until the node tells that it runs, 3.5 until its first line is here: an interactive bash starts meanwhile, and the log has been asked for with the launch. Each hop wakes another process, and new files are made: where the machine is slow at that, so is this (0.8 to 1.4 times the peer within one day, the same code).',
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
