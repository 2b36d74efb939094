import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { QueueError } from './errors';

/** A path with a leading `~` replaced by the user's home; on Windows also one that goes on with a backslash. */
export function expandHome(file: string, windows = process.platform === 'win32'): string {
  return file === '~' || file.startsWith('~/') || (windows && file.startsWith('~\\'))
    ? path.join(os.homedir(), file.slice(1))
    : file;
}

/** Where a task's paths are looked for. */
export interface Origin {
  /** Absolute path of the task file. */
  readonly file?: string;
  /** Absolute folders that relative paths of the task are looked for in, in this order; the task file's unless given. */
  readonly folders?: readonly string[];
}

/** The absolute paths that one which a task writes may mean, the likeliest first; at least one. */
export function placesOf(written: string, { file, folders }: Origin): [string, ...string[]] {
  const given = expandHome(written);
  const [first = process.cwd(), ...others] =
    folders ?? (file === undefined ? [process.cwd()] : [path.dirname(file)]);
  const nearest = path.resolve(first, given);
  const more = others.map((folder) => path.resolve(folder, given)).filter((place) => place !== nearest);
  return [nearest, ...new Set(more)];
}

/**
 * A path as a task writes it, made absolute: the first of its places where something is.
 * @param what The beginning of the error, such as `the task's workdir`.
 * @throws QueueError `workdir` that names every place
 */
export function localPath(what: string, written: string, origin: Origin): string {
  const places = placesOf(written, origin);
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new QueueError(
    'workdir',
    places.length === 1
      ? `${what} ${places[0]} does not exist`
      : `${what} ${written} does not exist: it was looked for as ${places.join(' and as ')}`,
  );
}
