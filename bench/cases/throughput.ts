import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { taskOf } from '../../test/support/world';
import { Samples, timed, type Case } from '../case';
import { bashLater, Lab, pause } from '../lab';
import { Slurm } from '../slurm';

const SLOTS = [1, 8];

/**
 * ext4 without a journal gives no inode anew that was deleted in the last minute, or in the last six while its block is still
 * to be written (`recently_deleted` in its ialloc.c), and looks at each of them for every new file. What ran before has removed
 * thousands.
 */
const SETTLE_MS = 365_000;

export const throughput: Case = {
  name: 'throughput',
  title: '1,000 no-op jobs of one GPU through the queue and one sshd node',
  peer: 'task-spooler (local), GNU parallel over ssh, Slurm on one node',
  target: SLOTS.flatMap((slots) => [
    { of: `cluster queue, ${slots}`, against: `Slurm, ${slots}`, least: 20 },
    { of: `cluster queue, ${slots}`, against: `parallel ControlMaster, ${slots}`, least: 3 },
    { of: `cluster queue, ${slots}`, against: `task-spooler, ${slots}`, least: 0.4 },
  ]),
  floor:
    'for each job a fork, the start of an interactive bash, files on the node’s disk, and an fdatasync here',
  why: 'Where the time goes, by profiles with the node’s disk in memory: the two cores are busy. Of the time of both cores the node’s perl takes a third (it took nearly half: a fork of the supervisor for each job made a thousand of its pages fault, and eight supervisors spent a tenth of their time on trying a lock), bash a quarter, and the client a quarter, which stores, decrypts and mirrors a log. Each end of a job also listed and sorted all that is staged, 0.7 ms for 500, under the lock that all supervisors want: now a supervisor keeps the list, and the kernel tells it what comes. With that, and small files read by three calls of the system instead of six, its own time for a job went from 3.2 to 2.0 ms with eight slots and from 2.4 to 1.6 with one (old and new code in turns). On a disk each of the six new files of a job takes more, on ext4 without a journal much more when many were deleted in the last six minutes, at each of which it looks for every new file: a run right after the tests of this project, or after another of its own, took 16 ms of the kernel for each job where a fresh one takes 4, and a quarter of all time was that search. So this case waits six minutes before it begins. task-spooler makes one file for each job; it keeps no durable state, and starts a plain sh. It is 0.25 to 0.6 of it by the hour: the peer did 176 to 650 a second within two days on machines of one kind, fastest on a disk that has settled.',
  async run({ quick, has }) {
    if (!quick) await pause(SETTLE_MS);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-'));
    const labs = await Promise.all(
      SLOTS.map(async (slots) => ({ slots, lab: await Lab.open({ gpus: slots }) })),
    );
    const slurm = has('sbatch') && has('munged') ? await Slurm.start(Math.max(...SLOTS)) : undefined;
    const samples = new Samples();
    const rate = async (label: string, jobs: number, work: () => unknown): Promise<void> => {
      samples.add(label, 'jobs/s', (jobs * 1000) / (await timed(work)));
    };
    try {
      for (const { lab } of labs) await lab.openMaster();
      for (let round = 0; round < (quick ? 1 : 2); round++) {
        for (const { slots, lab } of labs) {
          const ours = quick ? 100 : 1000;
          await rate(`cluster queue, ${slots}`, ours, () => throughQueue(lab, ours));
          if (has('tsp')) await rate(`task-spooler, ${slots}`, ours, () => throughSpooler(dir, slots, ours));
          if (has('parallel')) {
            const shared = quick ? 20 : 150;
            const plain = quick ? 4 : 30;
            await rate(`parallel ControlMaster, ${slots}`, shared, () =>
              throughParallel(lab, slots, shared, true),
            );
            await rate(`parallel plain, ${slots}`, plain, () => throughParallel(lab, slots, plain, false));
          }
          if (slurm) {
            const jobs = quick ? 2 : 20;
            await rate(`Slurm, ${slots}`, jobs, () => slurm.run(jobs, Math.max(...SLOTS) / slots));
          }
        }
      }
      return {
        series: samples.series(),
        notes: [
          'The number behind a name is the slots. The queue and task-spooler run 1,000 jobs a round; GNU parallel 150 and 30, Slurm 20, which is enough for a rate. The queue’s jobs are durable, have their logs kept, hold a lease of their GPU, and run under `bash -i`; task-spooler’s are none of that.',
        ],
      };
    } finally {
      await slurm?.stop();
      for (const { lab } of labs) await lab.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

async function throughQueue(lab: Lab, jobs: number): Promise<void> {
  const task = taskOf('resources: {accelerators: V100:1, cpus: 0.01}\nrun: "true"');
  await Promise.all(Array.from({ length: jobs }, () => lab.world.submit('lab', task)));
  await lab.idle();
}

async function throughSpooler(dir: string, slots: number, jobs: number): Promise<void> {
  const env = { TS_SOCKET: path.join(dir, `tsp-${slots}`), TMPDIR: dir, TS_MAXFINISHED: '100000' };
  await bashLater(
    `tsp -S ${slots}; for ((i = 0; i < ${jobs}; i++)); do tsp true >/dev/null; done
     while tsp -l | grep -qE ' (running|queued) '; do sleep 0.005; done; tsp -K`,
    env,
  );
}

async function throughParallel(lab: Lab, slots: number, jobs: number, shared: boolean): Promise<void> {
  const ssh = ['ssh', ...lab.ssh(shared)].join(' ');
  await bashLater(
    `seq ${jobs} | parallel --will-cite -j ${slots} --ssh '${ssh}' --sshlogin ${slots}/node 'true {}' </dev/stdin`,
    { PARALLEL_HOME: lab.world.home },
  );
}
