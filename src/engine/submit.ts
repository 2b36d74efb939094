import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord } from '../queue';
import type { Task } from '../task';
import { demandOf, resourcesText } from './demand';
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
  const demand =
    options.phase === 'setup'
      ? { numNodes: task.numNodes, alternatives: [{ cpus: 0, memoryMiB: 0 }] }
      : demandOf(task);
  const name =
    task.name ??
    (options.file === undefined
      ? 'sky-cmd'
      : path.basename(options.file).replace(/(\.(task|sky))?\.ya?ml$/i, ''));
  const workdir = resolveWorkdir(task, options.file);
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
      ...(workdir === undefined ? {} : { workdir }),
      ...(options.phase === undefined ? {} : { phase: options.phase }),
    },
  };
}

/** Values that are all there. */
export function given(values: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

function resolveWorkdir(task: Task, file: string | undefined): string | undefined {
  const { workdir } = task;
  if (workdir === undefined) return undefined;
  if (typeof workdir !== 'string') {
    throw new QueueError(
      'workdir',
      `the task's workdir is a git repository (${workdir.url}), which nodes do not clone yet: clone it beside the task file and name that folder`,
    );
  }
  const full = localPath(workdir, file);
  if (!existsSync(full)) throw new QueueError('workdir', `the task's workdir ${full} does not exist`);
  return full;
}
