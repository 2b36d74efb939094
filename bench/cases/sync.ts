import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Samples, timed, type Case } from '../case';
import { bashLater, Lab, pause } from '../lab';

const FILES = 2_000;
const BYTES = 10_000;
const STEPS = ['first', 'unchanged', 'one changed'] as const;

export const sync: Case = {
  name: 'sync',
  title: 'workdir of 2,000 files, 20 MB: submit → first byte of the job’s output at the client',
  peer: '`rsync -a --delete -e ssh`, plain and over a ControlMaster: start → end',
  target: [
    { of: 'cluster queue, first', against: 'rsync, first', most: 1.5 },
    { of: 'cluster queue, unchanged', against: 'rsync, unchanged', most: 1 },
    { of: 'cluster queue, one changed', against: 'rsync, one changed', most: 1.2 },
  ],
  floor:
    'first: reading, hashing and writing 20 MB here, 2,000 files made there; then one look at each file; and the job’s own copy and start',
  async run({ quick }) {
    const lab = await Lab.open();
    const samples = new Samples();
    try {
      await lab.openMaster();
      for (let round = 0; round < (quick ? 2 : 12); round++) {
        const project = makeProject(path.join(lab.world.home, `project-${round}`));
        for (const step of STEPS) {
          if (step === 'one changed') writeFileSync(path.join(project, 'd7', 'f47'), randomBytes(BYTES));
          // No file is so new that nobody can tell whether it will change once more in the same tick of the clock.
          await pause(200);
          const ours = await lab.firstLogByte(`workdir: ${project}\nrun: echo here`);
          const plain = await timed(() => bashLater(rsync(lab, project, `plain-${round}`, false)));
          const shared = await timed(() => bashLater(rsync(lab, project, `shared-${round}`, true)));
          if (round === 0 && !quick) continue;
          samples.add(`cluster queue, ${step}`, 'ms', ours);
          samples.add(`rsync, ${step}`, 'ms', plain);
          samples.add(`rsync ControlMaster, ${step}`, 'ms', shared);
        }
      }
      return {
        series: samples.series(),
        notes: [
          'Ours includes keeping the files as they are at submit, the job’s own copy of the 2,000 files, and the job’s start; rsync’s only that they are there. Ours rides on a connection that is open anyway; what rsync would cost on one is beside it.',
        ],
      };
    } finally {
      await lab.close();
    }
  },
};

function makeProject(dir: string): string {
  for (let i = 0; i < FILES; i++) {
    const folder = path.join(dir, `d${i % 40}`);
    if (i < 40) mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `f${i}`), randomBytes(BYTES));
  }
  return dir;
}

function rsync(lab: Lab, project: string, name: string, shared: boolean): string {
  const ssh = `ssh ${lab.ssh(shared).join(' ')}`;
  return `exec rsync -a --delete -e '${ssh}' ${project}/ node:${path.join(lab.home, name)}/`;
}
