import { stat } from 'node:fs/promises';
import path from 'node:path';
import { placesOf } from '../engine/localPath';
import { pathProblems as problemsOf, type Problem } from '../task';

/** Paths of a task file that do not exist, or are no folder where one must be, found as a submit by `cq` would. */
export function pathProblems(text: string, file: string): Promise<Problem[]> {
  const folders = [process.cwd(), path.dirname(path.resolve(file))];
  return problemsOf(text, (written) => placesOf(written, { folders }), stat);
}
