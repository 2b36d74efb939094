import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord, JobSpec } from '../queue';
import { fieldWithNul, filledMounts, fillIn, valuesOf, type Task, type Variant } from '../task';
import { demandOf, gpusPerNode, resourcesText } from './demand';
import { QueueError } from './errors';
import { localPath, type Origin } from './localPath';
import type { SubmitOptions } from './views';

/** Everything of a new job's record but its number and its sealed secrets. */
export type JobDraft = Omit<JobRecord, 'id' | 'order' | 'sealedSecrets'>;

/** What becomes a job of a task. @throws QueueError `missing-values`, `refused`, `workdir` */
export function draftJob(task: Task, options: SubmitOptions, now: number): JobDraft {
  const missing = [...Object.entries(task.envs), ...Object.entries(task.secrets)].filter(
    ([, value]) => value === null,
  );
  if (missing.length > 0) {
    throw new QueueError(
      'missing-values',
      `the task leaves ${missing.map(([name]) => name).join(', ')} open: give each a value (env ${missing[0]?.[0] ?? ''}=…)`,
    );
  }
  assertSendable(task);
  const envs = given(task.envs);
  const asked = demandOf(task);
  const setup = options.phase === 'setup';
  const demand = setup ? { numNodes: task.numNodes, alternatives: [{ cpus: 0, memoryMiB: 0 }] } : asked;
  const { timeoutS } = options;
  const retries = options.retries ?? (options.phase === 'setup' ? 0 : (task.retries ?? 0));
  return {
    uuid: options.uuid ?? randomUUID(),
    cluster: options.cluster,
    name: nameOf(task, options),
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
      ...workdirOf(task, options),
      ...mountsInWorkdir(task),
      ...(options.phase === undefined ? {} : { phase: options.phase }),
      ...(setup ? { taskGpus: gpusPerNode(asked.alternatives[options.alternative ?? 0]) } : {}),
      ...(timeoutS === undefined ? {} : { timeoutS }),
      ...(retries === 0 ? {} : { retries }),
    },
  };
}

/**
 * One job for each variant, each with a workdir by its own variables; the first keeps the uuid, by which a request that is
 * sent again is known. @throws QueueError as `draftJob`
 */
export function draftVariants(
  task: Task,
  variants: readonly [Variant, ...Variant[]],
  options: SubmitOptions,
  now: number,
): JobDraft[] {
  const variedBy = ({ envs }: Variant): Task => ({ ...task, envs: { ...task.envs, ...envs } });
  const draft = draftJob(variedBy(variants[0]), options, now);
  for (const { envs } of variants) assertSendable({ envs, secrets: {} });
  return variants.map((variant, index) => ({
    ...draft,
    uuid: index === 0 ? draft.uuid : randomUUID(),
    name: `${draft.name}-${variant.suffix}`,
    spec: {
      ...draft.spec,
      envs: { ...draft.spec.envs, ...variant.envs },
      ...workdirOf(variedBy(variant), options),
    },
  }));
}

/** The name of a task's job, or of its group. */
export function nameOf({ name }: Task, { file }: Pick<SubmitOptions, 'file'>): string {
  if (name !== undefined) return name;
  return file === undefined ? 'sky-cmd' : path.basename(file).replace(/(\.(task|sky))?\.ya?ml$/i, '');
}

/** @throws QueueError `refused` for what no node can be sent: a client may have made the task by other means than a file */
export function assertSendable(task: Parameters<typeof fieldWithNul>[0]): void {
  const field = fieldWithNul(task);
  if (field !== undefined)
    throw new QueueError(
      'refused',
      `${field} of the task holds a NUL character, which no script and no variable can hold: take it out`,
    );
}

/** Values that are all there. */
export function given(values: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

/** A task's workdir as an absolute path. @throws QueueError `workdir` when there is no such folder */
export function workdirFolder(workdir: string, task: Task, origin: Origin): string {
  const full = localPath("the task's workdir", fillIn(workdir, valuesOf(task)), origin);
  if (!statSync(full).isDirectory())
    throw new QueueError('workdir', `the task's workdir ${full} is a file: name the folder that it is in`);
  return full;
}

function workdirOf(task: Task, origin: Origin): Pick<JobSpec, 'workdir' | 'git'> {
  const { workdir } = task;
  if (workdir === undefined) return {};
  const values = valuesOf(task);
  if (typeof workdir === 'string') return { workdir: workdirFolder(workdir, task, origin) };
  const { url, ref } = workdir;
  return {
    workdir: addressOf(url, task, origin),
    git: ref === undefined ? {} : { ref: fillIn(ref, values) },
  };
}

/** As SkyPilot has them: a relative destination is one in the workdir. */
function mountsInWorkdir(task: Task): Pick<JobSpec, 'mounts'> {
  const mounts = Object.keys(filledMounts(task))
    .filter((destination) => !/^[~/]/.test(destination))
    .map((destination) => path.posix.normalize(destination))
    .filter((destination) => !destination.startsWith('..'));
  return task.workdir === undefined || mounts.length === 0 ? {} : { mounts };
}

/**
 * The address of a repository; one that is a folder here is found as a workdir is. In any other a secret stays a name, as
 * in `https://$TOKEN@…`, because the record is kept in the clear: see `addressWith`.
 */
function addressOf(url: string, task: Task, origin: Origin): string {
  const whole = fillIn(url, valuesOf(task));
  if (/^(\.{0,2}|~)\//.test(whole)) return localPath("the task's workdir", whole, origin);
  const open = Object.entries(task.envs).filter(([name]) => !Object.hasOwn(task.secrets, name));
  return fillIn(url, Object.fromEntries(open));
}

/** The address of a job's repository with the job's secrets in it; not to be stored or shown. */
export function addressWith(secrets: Readonly<Record<string, string>>, address: string): string {
  return fillIn(address, secrets);
}
