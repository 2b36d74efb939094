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
  why: 'On two cores the sum of all work counts, by CPU times of a round on the Xeon: the client’s thread 0.9 s, sshd 0.65 s, the relay 0.4 s, writing 0.3 to 0.8 s (freed memory that the machine’s host has taken back comes slowly), and the garbage collector 0.1 to 0.5 s, by whether V8 counts the deciphered packets as old. Old and new code in turns, 24 rounds each: a quarter more for reading into memory that is used again. Runs of this case on that machine, the same code within two hours, reached 0.6 to 1.05 of the peer; on an EPYC, before that, 1.4 to 1.55: the peer’s ChaCha20 is quicker on the Xeon, and what a round writes comes from memory that the one before has freed.',
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
      // A virtual machine's host takes back what memory is free for a second or two, and to get it again takes longer than
      // the copy: each side finds as much as it needs just freed.
      const level = `head -c ${bytes * 1.2} /dev/zero >${copy} && rm ${copy}`;
      for (let round = 0; round < (quick ? 2 : 7); round++) {
        await bashLater(level);
        const ours = await timed(() => mirrored(lab, id));
        const mirror = world.engine.logFile(world.engine.job('lab', id).record);
        assert.equal(statSync(mirror).size, bytes);
        rmSync(mirror);
        await bashLater(level);
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
