import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { localPaths, type LocalPathPlace, type Problem } from '../task';

/**
 * Paths of a task file that do not exist, or are no folder where one must be; a relative one is what is there in the first
 * of the folders that have it, as for a submit.
 */
export async function pathProblems(text: string, folders: readonly string[]): Promise<Problem[]> {
  const checked = await Promise.all(localPaths(text).map((place) => problemOf(place, folders)));
  return checked.filter((problem) => problem !== undefined);
}

async function problemOf(place: LocalPathPlace, folders: readonly string[]): Promise<Problem | undefined> {
  const { field, start, end } = place;
  const written = place.path.replace(/^~(?=$|\/)/, os.homedir());
  const tried = [...new Set(folders.map((folder) => path.resolve(folder, written)))];
  const problem = (message: string): Problem => ({
    severity: 'warning',
    code: 'missing-path',
    message,
    start,
    end,
  });
  for (const full of tried) {
    const found = await fs.stat(full).catch(() => undefined);
    if (!found) continue;
    if (field === 'file_mounts' || found.isDirectory()) return undefined;
    return problem(`${full} is not a folder: \`workdir\` is the folder that is copied, not a file in it.`);
  }
  return problem(
    `${tried.join(' does not exist, nor does ')}${tried.length === 1 ? ' does not exist' : ''}.`,
  );
}
