import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Samples, type Case } from '../case';
import { bashLater, Lab, pause } from '../lab';

const TREE = 'sleep 1000 & sleep 1000 & (sleep 1000; true) &';

export const cancel: Case = {
  name: 'cancel',
  title: 'cancel → last process of the tree gone',
  peer: '`ssh host kill` of a process group, over a ControlMaster and plain',
  target: [
    { of: 'cluster queue', against: 'ssh kill, plain', most: 1.5 },
    { of: 'cluster queue', against: 'ssh kill, ControlMaster', most: 1.5 },
  ],
  floor: 'one round trip and the look at /proc that finds the job’s processes',
  async run({ quick }) {
    const lab = await Lab.open();
    const samples = new Samples();
    try {
      await lab.openMaster();
      for (let i = 0; i < (quick ? 4 : 20); i++) {
        samples.add('cluster queue', 'ms', await cancelled(lab, `${i}`));
        samples.add('ssh kill, ControlMaster', 'ms', await killed(lab, `${i}m`, true));
        samples.add('ssh kill, plain', 'ms', await killed(lab, `${i}p`, false));
      }
      return {
        series: samples.series(),
        notes: [
          '`ssh kill` ends one process group that it was told of; the queue finds daemonised children too.',
        ],
      };
    } finally {
      await lab.close();
    }
  },
};

async function cancelled(lab: Lab, mark: string): Promise<number> {
  const file = path.join(lab.home, `pids-${mark}`);
  const { world } = lab;
  const { id } = await world.submit('lab', `run: |\n  ${TREE}\n  echo $$ $(jobs -p) >${file}\n  wait`);
  const pids = await pidsIn(file);
  const start = performance.now();
  void world.engine.cancel('lab', [id]);
  const ms = await allGone(pids, start);
  await world.ended('lab', id);
  return ms;
}

async function killed(lab: Lab, mark: string, shared: boolean): Promise<number> {
  const file = path.join(lab.home, `pids-${mark}`);
  const ssh = `ssh ${lab.ssh(shared).join(' ')} node`;
  await bashLater(
    `${ssh} "setsid bash -c '${TREE} echo \\$\\$ \\$(jobs -p) >${file}; wait' </dev/null >/dev/null 2>&1 &"`,
  );
  const pids = await pidsIn(file);
  const start = performance.now();
  const done = bashLater(`exec ${ssh} kill -TERM -- -${pids[0] ?? 0}`);
  const ms = await allGone(pids, start);
  await done;
  return ms;
}

async function pidsIn(file: string): Promise<number[]> {
  for (;;) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (text.endsWith('\n')) return text.trim().split(' ').map(Number);
    await pause(5);
  }
}

async function allGone(pids: readonly number[], start: number): Promise<number> {
  while (pids.some(lives)) await pause(1);
  return performance.now() - start;
}

function lives(pid: number): boolean {
  try {
    // A zombie that nobody has waited for yet has ended.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
