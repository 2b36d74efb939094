import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { Samples, timed, type Case } from '../case';
import { bashLater, Lab } from '../lab';

export const logBulk: Case = {
  name: 'log-bulk',
  title: '1 GB from one job to the client’s file',
  peer: '`ssh host cat` of the same file into a file',
  target: [{ of: 'cluster queue', against: 'ssh host cat', least: 1.2 }],
  floor: 'the cipher on one core of each side, and both disks',
  why: 'On two cores the sum of all work counts, by CPU times of a round on the EPYC: the client’s thread 0.6 s, sshd 0.6 s, the relay 0.3 s, and writing 0.25 to 0.6 s (freed memory that the machine’s host has taken back comes slowly, to the peer too: the first round after a pause writes at a third of the speed). The garbage collector had 0.5 s and the client’s thread 0.8 s as long as the memory of a deciphered packet was V8’s to free: 70 looks through the heap for a GB, none now. Runs of one day reached 1.0 to 1.55; before, on the same machine, 0.83, and on a Xeon 0.6 to 1.05. Not kept, because it gained less than the noise: to splice the file into sshd’s pipe (the relay 0.23 s), and more memory beside a write.',
  async run({ quick }) {
    const lab = await Lab.open();
    const { world } = lab;
    const bytes = quick ? 50e6 : 1e9;
    const copy = path.join(world.home, 'copy');
    const samples = new Samples();
    try {
      const { id, uuid } = await world.submit('lab', `run: yes 'step 100 loss 0.1234' | head -c ${bytes}`);
      await world.ended('lab', id, 120_000);
      // A log of more than 625 MB has a second part.
      const parts = await bashLater(`ls -v ${lab.home}/.cluster-queue/*/jobs/${uuid}-0/run.log*`);
      const log = parts.trim().split('\n').join(' ');
      for (let round = 0; round < (quick ? 2 : 7); round++) {
        const ours = await timed(() => mirrored(lab, id));
        const mirror = world.engine.logFile(world.engine.job('lab', id).record);
        assert.equal(statSync(mirror).size, bytes);
        rmSync(mirror);
        const theirs = await timed(() =>
          bashLater(`ssh ${lab.ssh(false).join(' ')} node cat ${log} >${copy}`),
        );
        assert.equal(statSync(copy).size, bytes);
        rmSync(copy);
        samples.add('cluster queue', 'MB/s', bytes / 1000 / ours);
        samples.add('ssh host cat', 'MB/s', bytes / 1000 / theirs);
      }
      return { series: samples.series() };
    } finally {
      await lab.close();
    }
  },
};

async function mirrored(lab: Lab, id: number): Promise<void> {
  const { mirror, release } = lab.world.engine.log('lab', id);
  await new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
  release();
}
