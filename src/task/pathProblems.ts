import { localPaths, type LocalPathPlace } from './places';
import type { Problem } from './problem';

/** What the disk has at a path of a task file. */
export interface FoundPath {
  /** The path in full, for a person. */
  readonly full: string;
  /** Undefined where there is nothing. */
  readonly is: 'folder' | 'file' | undefined;
}

/** Paths of this machine in a task file that do not exist, or are no folder where one must be, as `look` finds them. */
export async function pathProblems(
  text: string,
  look: (path: string) => Promise<FoundPath>,
): Promise<Problem[]> {
  const checked = await Promise.all(
    localPaths(text).map(async (place) => problemOf(place, await look(place.path))),
  );
  return checked.filter((problem) => problem !== undefined);
}

function problemOf({ field, start, end }: LocalPathPlace, { full, is }: FoundPath): Problem | undefined {
  if (is === 'folder' || (is === 'file' && field === 'file_mounts')) return undefined;
  const what = is === 'file' ? 'is not a folder' : 'does not exist';
  return { severity: 'warning', code: 'missing-path', message: `${full} ${what}.`, start, end };
}
