import { existsSync } from 'node:fs';
import type { Mount, StaleMount } from '../engine';
import { QueueError } from '../engine/errors';
import { localPath, placesOf, type Origin } from '../engine/localPath';
import { isRemoteSource } from '../engine/remoteMount';
import { workdirFolder } from '../engine/submit';
import { filledMounts, type Task } from '../task';
import type { Queue } from './queue';

/**
 * The task's `file_mounts` that nodes of the cluster do not have as they are now. An exec does not place them, as with
 * SkyPilot: so its user is told, and asked. What can be neither placed nor fetched is not among them.
 */
export function staleMountsOf(
  queue: Queue,
  cluster: string,
  task: Task,
  origin: Origin,
): Promise<StaleMount[]> {
  const found = (source: string): string => {
    const places = placesOf(source, origin);
    // One that is nowhere is passed over later, unless it was never placed: its user is told that.
    return places.find((place) => existsSync(place)) ?? places[0];
  };
  const mounts = Object.entries(filledMounts(task)).flatMap(([destination, written]) => {
    try {
      return [mountOf(destination, written, found)];
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
 * `file_mounts`. Returns these mounts with their variables filled in: local paths made absolute, and addresses that the nodes
 * fetch themselves.
 * @throws QueueError `workdir` with each that is not there, or that can be neither placed nor fetched
 */
export function requireSources(task: Task, origin: Origin): Mount[] {
  const { workdir } = task;
  const mounts: Mount[] = [];
  const flaws = [
    ...(typeof workdir === 'string' ? flawOf(() => workdirFolder(workdir, task, origin)) : []),
    ...Object.entries(filledMounts(task)).flatMap(([destination, written]) =>
      flawOf(() =>
        mounts.push(mountOf(destination, written, (source) => sourcePath(destination, source, origin))),
      ),
    ),
  ];
  if (flaws.length === 0) return mounts;
  throw new QueueError('workdir', `${flaws.join('; ')}. Correct the path, or make what it names`);
}

function flawOf(look: () => unknown): string[] {
  try {
    look();
    return [];
  } catch (error) {
    if (error instanceof QueueError) return [error.message];
    throw error;
  }
}

function sourcePath(destination: string, source: string, origin: Origin): string {
  return localPath(`file_mounts ${destination}: the source`, source, origin);
}

function mountOf(destination: string, written: unknown, found: (source: string) => string): Mount {
  const source = sourceOf(destination, written);
  if (`${destination}${source}`.includes('\0'))
    throw new QueueError(
      'workdir',
      `file_mounts ${destination.replaceAll('\0', '\\0')}: a path cannot hold a NUL character: take it out`,
    );
  if (isRemoteSource(source)) return { source, destination };
  if (/^[a-z0-9]+:\/\//i.test(source)) {
    throw new QueueError(
      'workdir',
      `file_mounts ${destination}: nodes can fetch s3://, gs://, r2://, hf:// and https://, but not ${source}; fetch it in setup instead`,
    );
  }
  return { source: found(source), destination };
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
