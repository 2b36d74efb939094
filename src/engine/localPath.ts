import os from 'node:os';
import path from 'node:path';

/** A path with a leading `~` replaced by the user's home; on Windows also one that goes on with a backslash. */
export function expandHome(file: string, windows = process.platform === 'win32'): string {
  return file === '~' || file.startsWith('~/') || (windows && file.startsWith('~\\'))
    ? path.join(os.homedir(), file.slice(1))
    : file;
}

/** A path as a task writes it, made absolute: relative ones are taken from the folder of the task file, when it has one. */
export function localPath(written: string, taskFile: string | undefined): string {
  return path.resolve(taskFile === undefined ? process.cwd() : path.dirname(taskFile), expandHome(written));
}
