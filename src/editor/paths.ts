import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { localPaths, type LocalPathPlace, type Problem } from '../task';

/** Paths of a task file that do not exist, or are no folder where one must be; relative ones from the file's folder. */
export async function pathProblems(text: string, folder: string): Promise<Problem[]> {
  const checked = await Promise.all(localPaths(text).map((place) => problemOf(place, folder)));
  return checked.filter((problem) => problem !== undefined);
}

async function problemOf(place: LocalPathPlace, folder: string): Promise<Problem | undefined> {
  const { field, start, end } = place;
  const full = path.resolve(folder, place.path.replace(/^~(?=$|\/)/, os.homedir()));
  const found = await fs.stat(full).catch(() => undefined);
  if (found && (field === 'file_mounts' || found.isDirectory())) return undefined;
  const what = found ? 'is not a folder' : 'does not exist';
  return { severity: 'warning', code: 'missing-path', message: `${full} ${what}.`, start, end };
}
