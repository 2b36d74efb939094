import { stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathProblems as problemsOf, type Problem } from '../task';

/** Paths of a task file that do not exist, or are no folder where one must be; relative ones from the file's folder. */
export function pathProblems(text: string, folder: string): Promise<Problem[]> {
  return problemsOf(text, async (name) => {
    const full = path.resolve(folder, name.replace(/^~(?=$|\/)/, os.homedir()));
    const found = await stat(full).catch(() => undefined);
    return { full, is: !found ? undefined : found.isDirectory() ? 'folder' : 'file' };
  });
}
