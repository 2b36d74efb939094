import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Task } from '../../src/task';
import { taskOf } from '../../test/support/world';
import { Samples, type Case } from '../case';
import { Lab, pause } from '../lab';

/** Runs when there is a file `go` in the home, so that nothing starts before. */
const HOLD = 'while [ ! -e ~/go ]; do sleep 0.05; done';

const RETURN = 'an engine’s return to them and to the finished ones';

export const staging: Case = {
  name: 'staging',
  title: '1,000 jobs staged on their node; an engine’s return to them and to 500 finished ones',
  peer: 'nothing comparable',
  target: [{ of: RETURN, most: 1000 }],
  floor:
    'a durable record, a round trip and a folder of four files for each job; on return one connection and two requests',
  async run({ quick }) {
    const samples = new Samples();
    const [staged, finished] = quick ? [50, 25] : [1000, 500];
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const lab = await Lab.open({ gpus: 1 });
      try {
        await measure(lab, staged, finished, samples);
      } finally {
        await lab.close();
      }
    }
    return {
      series: samples.series(),
      notes: [
        `Each of the ${staged} staged jobs waits for one GPU behind a job that has it; bytes are what their folders take on the node's disk (\`du\`), where each folder and each of its four files is a block at least. The ${finished} finished jobs ran on a second node while the engine was closed; the time of its return is from connecting until every one of them is known as ended and every one of the others as staged.`,
      ],
    };
  },
};

async function measure(lab: Lab, staged: number, finished: number, samples: Samples): Promise<void> {
  const { world, home } = lab;
  const other = await world.nodes.add('other');
  await lab.world.cluster('other', ['other'], 1);
  const task = (run: string): Task => taskOf(`resources: {accelerators: "V100:1", cpus: 0.01}\nrun: ${run}`);
  const submit = (cluster: string, count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, () => world.submit(cluster, task('"true"'))));
  const stagedOn = (cluster: string): number => world.engine.view(cluster)?.staged ?? 0;
  for (const cluster of ['lab', 'other']) {
    const { id } = await world.submit(cluster, task(HOLD));
    await world.until(() => world.status(cluster, id) === 'RUNNING', 'the GPU is taken');
  }

  const start = performance.now();
  await submit('lab', staged);
  const submitted = performance.now();
  await world.until(() => stagedOn('lab') === staged, `${staged} are staged`, 300_000);
  samples.add('a job, submitted and staged', 'ms', (performance.now() - start) / staged);
  samples.add('of that, after the last submit', 'ms', (performance.now() - submitted) / staged);
  const folder = path.join(home, '.cluster-queue', 'staged');
  const kib = execFileSync('du', ['-sk', folder], { encoding: 'utf8' });
  samples.add('a staged job on the node’s disk', 'KiB', parseInt(kib, 10) / staged);

  await submit('other', finished);
  await world.until(() => stagedOn('other') === finished, `${finished} are staged`, 300_000);
  await world.shut();
  writeFileSync(path.join(other.home, 'go'), '');
  const ended = 'ls -d "$0"/.cluster-queue/*/jobs/*/exit 2>/dev/null | wc -l';
  const count = (): number => Number(execFileSync('sh', ['-c', ended, other.home], { encoding: 'utf8' }));
  while (count() <= finished) await pause(200);
  await world.open();
  const back = performance.now();
  for (const cluster of ['lab', 'other']) world.engine.connect(cluster);
  await world.until(
    () => {
      const { pending = 1, running = 1 } = world.engine.view('other') ?? {};
      return stagedOn('lab') === staged && pending + running === 0;
    },
    'all is known',
    300_000,
  );
  samples.add(RETURN, 'ms', performance.now() - back);
}
