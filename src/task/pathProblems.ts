import { localPaths, type LocalPathPlace } from './places';
import type { Problem } from './problem';

/** What the disk has at a place that a path of a task file may mean. */
export interface FoundPath {
  /** The path in full, for a person. */
  readonly full: string;
  /** Undefined where there is nothing. */
  readonly is: 'folder' | 'file' | undefined;
}

/**
 * Paths of this machine in a task file that do not exist, or are no folder where one must be. `look` finds the places that one
 * may mean, the likeliest first; as for a submit, the first where something is decides.
 */
export async function pathProblems(
  text: string,
  look: (path: string) => Promise<readonly FoundPath[]>,
): Promise<Problem[]> {
  const checked = await Promise.all(
    localPaths(text).map(async (place) => problemOf(place, await look(place.path))),
  );
  return checked.filter((problem) => problem !== undefined);
}

function problemOf({ field, start, end }: LocalPathPlace, places: readonly FoundPath[]): Problem | undefined {
  const found = places.find(({ is }) => is !== undefined);
  if (found && (found.is === 'folder' || field === 'file_mounts')) return undefined;
  const tried = places.map(({ full }) => full);
  const message = found
    ? `${found.full} is not a folder: \`workdir\` is the folder that is copied, not a file in it.`
    : `${tried.join(' does not exist, nor does ')}${tried.length === 1 ? ' does not exist' : ''}.`;
  return { severity: 'warning', code: 'missing-path', message, start, end };
}
