import { existsSync, statSync } from 'node:fs';
import type { Mount, StaleMount } from '../engine';
import { QueueError } from '../engine/errors';
import { localPath } from '../engine/localPath';
import { isRemoteSource } from '../engine/remoteMount';
import type { Task } from '../task';
import type { Queue } from './queue';

/**
 * The task's `file_mounts`: local paths made absolute, and addresses that the nodes fetch themselves.
 * @throws QueueError `workdir` for what can be neither placed nor fetched
 */
export function mountsOf(task: Task, file: string | undefined): Mount[] {
  return Object.entries(task.fileMounts).map(([destination, written]) => mountOf(destination, written, file));
}

/**
 * The task's `file_mounts` that nodes of the cluster do not have as they are now. An exec does not place them, as with
 * SkyPilot: so its user is told, and asked. What can be neither placed nor fetched is not among them.
 */
export function staleMountsOf(
  queue: Queue,
  cluster: string,
  task: Task,
  file: string | undefined,
): Promise<StaleMount[]> {
  const mounts = Object.entries(task.fileMounts).flatMap(([destination, written]) => {
    try {
      return [mountOf(destination, written, file)];
    } catch (error) {
      if (error instanceof QueueError) return [];
      throw error;
    }
  });
  return mounts.length === 0 ? Promise.resolve([]) : queue.staleMounts(cluster, mounts);
}

/** `~/data has changed since it was placed; ~/model was never placed on node-b`. */
export function staleWords(stale: readonly StaleMount[]): string {
  return stale
    .map(({ destination, placed, nodes }) =>
      placed
        ? `${destination} has changed since it was placed`
        : `${destination} was never placed on ${nodes.join(', ')}`,
    )
    .join('; ');
}

/**
 * Looks for all that a launch of the task would read on this machine: its workdir, and the local sources of its
 * `file_mounts`.
 * @throws QueueError `workdir` with each that is not there, or that can be neither placed nor fetched
 */
export function requireSources(task: Task, file: string | undefined): void {
  const flaws = [...workdirFlaw(task, file), ...mountsOf(task, file).flatMap(sourceFlaw)];
  if (flaws.length === 0) return;
  throw new QueueError('workdir', `${flaws.join('; ')}. Correct the path, or make what it names`);
}

function workdirFlaw({ workdir }: Task, file: string | undefined): string[] {
  if (typeof workdir !== 'string') return [];
  const full = localPath(workdir, file);
  return statSync(full, { throwIfNoEntry: false })?.isDirectory() === true
    ? []
    : [`the task's workdir ${full} is not a folder of this machine`];
}

function sourceFlaw({ source, destination }: Mount): string[] {
  return isRemoteSource(source) || existsSync(source)
    ? []
    : [`file_mounts ${destination}: the source ${source} does not exist on this machine`];
}

function mountOf(destination: string, written: unknown, file: string | undefined): Mount {
  const source = sourceOf(destination, written);
  if (isRemoteSource(source)) return { source, destination };
  if (/^[a-z0-9]+:\/\//i.test(source)) {
    throw new QueueError(
      'workdir',
      `file_mounts ${destination}: nodes can fetch s3://, gs://, r2://, hf:// and https://, but not ${source}; fetch it in setup instead`,
    );
  }
  return { source: localPath(source, file), destination };
}

/** What a mount copies from. A mapping says so with `mode: COPY`; SkyPilot's default for one is to mount the bucket. */
function sourceOf(destination: string, written: unknown): string {
  if (typeof written === 'string') return written;
  const { source, mode } = (written ?? {}) as { source?: unknown; mode?: unknown };
  const isCopy = typeof mode === 'string' && mode.toUpperCase() === 'COPY';
  if (isCopy && typeof source === 'string') return source;
  throw new QueueError(
    'workdir',
    isCopy
      ? `file_mounts ${destination}: it needs one \`source\`, a path or an address such as s3://bucket/folder`
      : `file_mounts ${destination}: buckets are copied to your nodes, not mounted; write \`mode: COPY\`, or mount it in setup (rclone mount, goofys)`,
  );
}
