import { localPaths, type LocalPathPlace } from './places';
import type { Problem } from './problem';

/** Tells what is at an absolute path, as `stat` of node:fs/promises does; rejects where there is nothing. */
export type Stat = (path: string) => Promise<{ isDirectory(): boolean }>;

/**
 * Paths of this machine in a task file that do not exist, or are no folder where one must be. `placesOf` gives the absolute
 * paths that one may mean, the likeliest first; as for a submit, the first where something is decides.
 */
export async function pathProblems(
  text: string,
  placesOf: (written: string) => readonly string[],
  stat: Stat,
): Promise<Problem[]> {
  const checked = await Promise.all(
    localPaths(text).map((place) => problemOf(place, placesOf(place.path), stat)),
  );
  return checked.filter((problem) => problem !== undefined);
}

async function problemOf(
  { field, start, end }: LocalPathPlace,
  places: readonly string[],
  stat: Stat,
): Promise<Problem | undefined> {
  const problem = (message: string): Problem => ({
    severity: 'warning',
    code: 'missing-path',
    message,
    start,
    end,
  });
  for (const full of places) {
    const found = await stat(full).catch(() => undefined);
    if (!found) continue;
    if (field === 'file_mounts' || found.isDirectory()) return undefined;
    return problem(`${full} is not a folder: \`workdir\` is the folder that is copied, not a file in it.`);
  }
  return problem(
    `${places.join(' does not exist, nor does ')}${places.length === 1 ? ' does not exist' : ''}.`,
  );
}
