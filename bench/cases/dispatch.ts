import { Samples, type Case } from '../case';
import { Lab } from '../lab';

export const dispatch: Case = {
  name: 'dispatch',
  title: 'submit → first byte of output at the client, open connection',
  peer: 'the same command by `ssh` over a ControlMaster',
  target: [{ of: 'cluster queue', against: 'ssh, ControlMaster', most: 0.7 }],
  floor:
    'one fdatasync, one round trip, two forks and the start of an interactive bash; the peer pays two forks, two shells and a client’s start',
  why: 'Where the time goes, by a trace: about 2 ms until the job is durable and on its way, a fork for its supervisor, and then the start of an interactive bash (3 ms), beside which the supervisor makes books and log; from its first line to the client 1 ms, the mirror’s own file included, which is written before anybody hears of a line. Each hop wakes another process, and new files are made: where the machine is slow at that, so is this, and where it is slow at starting programs, so is the peer (0.6 to 1.2 times the peer within two hours, the same code). A trace of the scheduler on the Xeon shows besides that its kernel keeps what is forked on the core of its parent as long as the machine has little to do: session, supervisor and shell then run one after the other (0.5, 0.8 and 2.5 ms) while the other core idles. To start the log’s keeper before the shell is told to begin changed nothing there.',
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
