import { spawn } from 'node:child_process';
import { taskOf } from '../../test/support/world';
import { Samples, type Case } from '../case';
import { bashLater, Lab, pause } from '../lab';

/** Ten lines a second, each with the time of its writing, by no process but the shell itself. */
const JOB = `exec 9<> <(:)
  while :; do echo at $EPOCHREALTIME; read -t 0.1 -u 9 x; done`;

/** So many lines, one after the other: V8 compiles what has been called so often. */
const MANY_LINES = 4000;
const MANY = `exec 9<> <(:)
  for ((i = 0; i < ${MANY_LINES}; i++)); do echo line $i; read -t 0.0005 -u 9 x; done`;

export const logLatency: Case = {
  name: 'log-latency',
  title: 'a line written by a job → at the client',
  peer: '`ssh tail -F` of the same logs over one connection',
  target: [
    { of: '1 job', against: '1 job, ssh tail -F', most: 1.2 },
    { of: '100 jobs', against: '100 jobs, ssh tail -F', most: 1.2 },
  ],
  floor: 'an inotify event, a wake of a process on either side, and half a round trip',
  why: 'Where the time goes: nearly all of what ssh tail needs (sshd, the cipher, the loopback; each wake of a process on an idle CPU takes a tenth of a millisecond here) and then the client, where a line now and then finds nothing in the CPU’s caches: 16 µs for lines that come at once are 0.2 to 0.3 ms for one after a tenth of a second, spread over all of it (the first block through the cipher 36, the write of the mirror’s file, which is written before anybody hears of a line and which ssh does not do, 37, each small view of memory 10). By traces of the kernel’s scheduler, a line took 311 µs from the client’s read to its write and takes 265 since the next decipher is made ahead (ssh2 makes one for each packet), and 78 µs in the node’s relay, where it takes 38 since that reads the log which grew last before it takes apart what inotify said. ssh and tail need 62 and 22 for the same and have a process more to wake. Old and new code in turns, four times each: 1.33 and 1.18 of the peer. When 4,000 lines have come, V8 has compiled what a new window runs for the first time, and one line takes 0.05 to 0.1 ms less. Not kept: to tell of a line before it is written, since a full disk must neither lose nor repeat one.',
  async run({ quick }) {
    const samples = new Samples();
    for (const jobs of quick ? [1, 10] : [1, 100]) {
      const lab = await Lab.open({ gpus: jobs });
      try {
        await measure(lab, jobs, quick, samples);
      } finally {
        await lab.close();
      }
    }
    return {
      series: samples.series(),
      notes: [
        'The clock is one and the same. Each of the jobs writes ten lines a second; both sides take turns with the same jobs.',
      ],
    };
  },
};

async function measure(lab: Lab, jobs: number, quick: boolean, samples: Samples): Promise<void> {
  const { world } = lab;
  const label = jobs === 1 ? '1 job' : `${jobs} jobs`;
  const task = taskOf(`resources: {accelerators: V100:1, cpus: 0.01}\nrun: |\n  ${JOB}`);
  const records = await Promise.all(Array.from({ length: jobs }, () => world.submit('lab', task)));
  const running = (): boolean =>
    records.every(({ id }) => world.engine.job('lab', id).record.status === 'RUNNING');
  await world.until(running, 'all run', 120_000);
  await pause(1000);
  const ids = records.map(({ id }) => id);
  const files = (await bashLater(`ls ${lab.home}/.cluster-queue/*/jobs/*/run.log`)).trim().split('\n');
  const ms = quick ? 1000 : 3000;
  const compare = async (name: string): Promise<void> => {
    for (let round = 0; round < (quick ? 1 : 4); round++) {
      samples.add(name, 'ms', ...(await mirrored(lab, ids, ms)));
      samples.add(`${name}, ssh tail -F`, 'ms', ...(await tailed(lab, files, ms)));
    }
  };
  await compare(label);
  if (jobs === 1 && !quick) {
    await followMany(lab);
    await compare(`1 job, ${MANY_LINES} lines later`);
  }
  void world.engine.cancel('lab', 'all');
  await lab.idle();
}

async function followMany({ world }: Lab): Promise<void> {
  const { id } = await world.submit('lab', `resources: {cpus: 0.01}\nrun: |\n  ${MANY}\n`);
  const { mirror, release } = world.engine.log('lab', id);
  await world.until(() => mirror.complete, 'all lines are here', 120_000);
  release();
}

/** The ages of the lines that come in so many ms. */
async function mirrored(lab: Lab, ids: readonly number[], ms: number): Promise<number[]> {
  const ages: number[] = [];
  const held = ids.map((id) => lab.world.engine.log('lab', id));
  // What was written before is on its way first.
  await pause(1500);
  const stops = held.map(({ mirror }) => mirror.onAppend(({ bytes }) => ages.push(...agesIn(bytes))));
  await pause(ms);
  for (const stop of stops) stop();
  for (const { release } of held) release();
  await pause(500);
  return ages;
}

async function tailed(lab: Lab, files: readonly string[], ms: number): Promise<number[]> {
  const words = [...lab.ssh(false), 'node', 'tail', '-q', '-n', '0', '-F', ...files];
  const child = spawn('ssh', words, { stdio: ['ignore', 'pipe', 'ignore'] });
  let ages: number[] = [];
  child.stdout.on('data', (bytes: Buffer) => ages.push(...agesIn(bytes)));
  await pause(1500);
  // What came while ssh connected was old.
  ages = [];
  await pause(ms);
  child.kill();
  await pause(500);
  return ages;
}

function agesIn(bytes: Buffer): number[] {
  const now = performance.timeOrigin + performance.now();
  return [...bytes.toString('latin1').matchAll(/^at (\d+\.\d{6})$/gm)].map(
    ([, at]) => now - Number(at) * 1000,
  );
}
