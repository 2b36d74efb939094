import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord, JobSpec } from '../queue';
import type { Task, Variant } from '../task';
import { demandOf, gpusPerNode, resourcesText } from './demand';
import { QueueError } from './errors';
import { localPath } from './localPath';
import type { SubmitOptions } from './views';

/** Everything of a new job's record but its number and its sealed secrets. @throws QueueError */
export function draftJob(
  task: Task,
  options: SubmitOptions,
  now: number,
): Omit<JobRecord, 'id' | 'order' | 'sealedSecrets'> {
  const missing = [...Object.entries(task.envs), ...Object.entries(task.secrets)].filter(
    ([, value]) => value === null,
  );
  if (missing.length > 0) {
    throw new QueueError(
      'missing-values',
      `the task leaves ${missing.map(([name]) => name).join(', ')} open: give each a value (env ${missing[0]?.[0] ?? ''}=…)`,
    );
  }
  const envs = given(task.envs);
  const asked = demandOf(task);
  const setup = options.phase === 'setup';
  const demand = setup ? { numNodes: task.numNodes, alternatives: [{ cpus: 0, memoryMiB: 0 }] } : asked;
  const name =
    task.name ??
    (options.file === undefined
      ? 'sky-cmd'
      : path.basename(options.file).replace(/(\.(task|sky))?\.ya?ml$/i, ''));
  const { timeoutS } = options;
  const retries = options.retries ?? (options.phase === 'setup' ? 0 : (task.retries ?? 0));
  return {
    uuid: options.uuid ?? randomUUID(),
    cluster: options.cluster,
    name,
    user: options.user,
    status: 'PENDING',
    priority: task.priority,
    demand,
    submittedAt: now,
    spec: {
      envs,
      resources: resourcesText(demand),
      ...(task.run === undefined ? {} : { run: task.run }),
      ...(options.file === undefined ? {} : { file: options.file }),
      ...workdirOf(task, options.file),
      ...mountsInWorkdir(task),
      ...(options.phase === undefined ? {} : { phase: options.phase }),
      ...(setup ? { taskGpus: gpusPerNode(asked.alternatives[options.alternative ?? 0]) } : {}),
      ...(timeoutS === undefined ? {} : { timeoutS }),
      ...(retries === 0 ? {} : { retries }),
    },
  };
}

/** One job for each variant; the first keeps the uuid, by which a request that is sent again is known. */
export function variedBy<Draft extends Pick<JobRecord, 'uuid' | 'name' | 'spec'>>(
  draft: Draft,
  variants: readonly Variant[],
): Draft[] {
  return variants.map(({ suffix, envs }, index) => ({
    ...draft,
    uuid: index === 0 ? draft.uuid : randomUUID(),
    name: `${draft.name}-${suffix}`,
    spec: { ...draft.spec, envs: { ...draft.spec.envs, ...envs } },
  }));
}

/** Values that are all there. */
export function given(values: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

function workdirOf(task: Task, file: string | undefined): Pick<JobSpec, 'workdir' | 'git'> {
  const { workdir } = task;
  if (workdir === undefined) return {};
  if (typeof workdir !== 'string') {
    const { url, ref } = workdir;
    return { workdir: addressOf(url, file), git: ref === undefined ? {} : { ref } };
  }
  const full = localPath(workdir, file);
  if (!existsSync(full)) throw new QueueError('workdir', `the task's workdir ${full} does not exist`);
  return { workdir: full };
}

/** As SkyPilot has them: a relative destination is one in the workdir. */
function mountsInWorkdir({ workdir, fileMounts }: Task): Pick<JobSpec, 'mounts'> {
  const mounts = Object.keys(fileMounts)
    .filter((destination) => !/^[~/]/.test(destination))
    .map((destination) => path.posix.normalize(destination))
    .filter((destination) => !destination.startsWith('..'));
  return workdir === undefined || mounts.length === 0 ? {} : { mounts };
}

/** A repository that is a folder here is found from the task file, as a workdir is. */
function addressOf(url: string, file: string | undefined): string {
  return /^(\.{0,2}|~)\//.test(url) ? localPath(url, file) : url;
}
