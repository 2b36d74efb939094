// The main job without a window (`npm start -- --headless`): the worked example on the embedded cluster, through the
// same engine that the extension uses. Exits non-zero when a status is not what it must be.
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Engine } from '../src/engine';
import { renderQueue, type JobRecord, type JobStatus } from '../src/queue';
import { applyOverrides, parseTask } from '../src/task';

const CLUSTER = 'local';

async function main(): Promise<void> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-demo-'));
  const engine = await Engine.open({ home: path.join(root, 'state'), localEnv: { HOME: root } });
  try {
    await play(engine);
  } finally {
    await engine.close();
    rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

async function play(engine: Engine): Promise<void> {
  await engine.defineLocal(CLUSTER, { name: 'V100', count: 4 });
  console.log(`cluster ${CLUSTER}: this machine, with 4 virtual V100s\n`);
  const file = path.join(__dirname, '..', 'examples', 'huggingface.task.yaml');
  const { task } = parseTask(await readFile(file, 'utf8'));
  if (!task) throw new Error(`${file} has mistakes`);
  const submit = async (name: string, gpus: string, steps: number): Promise<JobRecord> => {
    const record = await engine.submit(applyOverrides(task, { name, gpus, envs: { STEPS: String(steps) } }), {
      cluster: CLUSTER,
      user: os.userInfo().username,
    });
    console.log(`$ exec ${CLUSTER} ${path.basename(file)} -n ${name} --gpus ${gpus}   → job ${record.id}`);
    return record;
  };

  const first = await submit('huggingface', 'V100:4', 3);
  await until(engine, () => statusOf(engine, first.id) === 'RUNNING');
  for (const [name, gpus] of [
    ['job2', 'V100:1'],
    ['job3', 'V100:1'],
    ['job4', 'V100:4'],
    ['job5', 'V100:2'],
  ] as const) {
    await submit(name, gpus, 3);
  }
  expect(engine, ['RUNNING', 'PENDING', 'PENDING', 'PENDING', 'PENDING']);
  let shown = '';
  const show = (): void => {
    const jobs = engine.jobs(CLUSTER).map(({ record }) => record);
    const state = jobs.map(({ status }) => status).join();
    if (state === shown) return;
    shown = state;
    console.log(`\n$ queue ${CLUSTER}\n${renderQueue(jobs, Date.now())}`);
  };
  show();
  const stop = engine.onDidChange(show);
  await until(engine, () => [2, 3, 5].every((id) => statusOf(engine, id) === 'RUNNING'));
  expect(engine, ['SUCCEEDED', 'RUNNING', 'RUNNING', 'PENDING', 'RUNNING']);
  const devices = [2, 3, 5].flatMap(
    (id) => engine.job(CLUSTER, id).record.placement?.ranks[0]?.devices ?? [],
  );
  if (devices.length !== 4 || new Set(devices).size !== 4)
    throw new Error(`jobs 2, 3 and 5 share a GPU: ${devices.join()}`);
  console.log(`\njob 4 waits: ${engine.job(CLUSTER, 4).reason?.text ?? ''}`);
  await until(engine, () => statusOf(engine, 4) === 'RUNNING');
  expect(engine, ['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'RUNNING', 'SUCCEEDED']);
  console.log(`\n$ logs ${CLUSTER} 4`);
  const { mirror, release } = engine.log(CLUSTER, 4);
  mirror.onAppend(({ bytes }) => process.stdout.write(bytes));
  if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
  release();
  await until(engine, () => statusOf(engine, 4) === 'SUCCEEDED');
  stop();
  expect(engine, ['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED']);
  console.log('\nall five jobs ended as they must');
}

function statusOf(engine: Engine, id: number): JobStatus {
  return engine.job(CLUSTER, id).record.status;
}

function expect(engine: Engine, wanted: readonly JobStatus[]): void {
  const found = wanted.map((_status, index) => statusOf(engine, index + 1));
  if (found.join() !== wanted.join())
    throw new Error(`jobs 1 to 5 should be ${wanted.join(', ')}, but are ${found.join(', ')}`);
}

/** Resolves at the first change after which `met` holds; throws when that takes over a minute. */
function until(engine: Engine, met: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      stop();
      reject(
        new Error(
          `no progress in 60 s: ${engine
            .jobs(CLUSTER)
            .map(({ record, reason }) => `${record.id} ${record.status} ${reason?.text ?? ''}`)
            .join('; ')}`,
        ),
      );
    }, 60_000);
    const check = (): void => {
      if (!met()) return;
      clearTimeout(limit);
      stop();
      resolve();
    };
    const stop = engine.onDidChange(check);
    check();
  });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
