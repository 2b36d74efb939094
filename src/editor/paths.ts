import { stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathProblems as problemsOf, type Problem } from '../task';

/** Paths of a task file that do not exist, or are no folder where one must be; relative ones are looked for in these folders. */
export function pathProblems(text: string, folders: readonly string[]): Promise<Problem[]> {
  const placesOf = (written: string): string[] => {
    const given = written.replace(/^~(?=$|\/)/, os.homedir());
    return [...new Set(folders.map((folder) => path.resolve(folder, given)))];
  };
  return problemsOf(text, placesOf, stat);
}
