import { statSync } from 'node:fs';
import { CliError } from './errors';

/** @throws CliError when something is to be put into a folder that is, or lies below, a file; `flag`: the option that names it */
export function assertFolder(dir: string, flag: string): void {
  if (isFolderOrNothing(dir)) return;
  throw new CliError(`${dir} is no folder, and none can be made there: name another one with ${flag}`);
}

function isFolderOrNothing(dir: string): boolean {
  try {
    return statSync(dir, { throwIfNoEntry: false })?.isDirectory() ?? true;
  } catch (error) {
    // What else hinders is told when it is written to.
    return !(error instanceof Error && 'code' in error && error.code === 'ENOTDIR');
  }
}
