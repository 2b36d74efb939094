import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';

/**
 * The command that words mean which no `--` marks as one; undefined when they are a task file. As SkyPilot decides it: what
 * is named like YAML is a file, also where there is none; of the rest a single word that is a file is a task, unless that is
 * a script.
 */
export function inlineCommand(words: readonly string[]): readonly string[] | undefined {
  const [first = '', ...rest] = words;
  if (first === '' || /\.ya?ml$/i.test(first)) return undefined;
  return rest.length > 0 || !existsSync(first) || isScript(first) ? words : undefined;
}

function isScript(file: string): boolean {
  if (!statSync(file).isFile()) return false;
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    return false;
  }
  try {
    const head = Buffer.alloc(2);
    readSync(handle, head, 0, 2, 0);
    return head.toString('latin1') === '#!';
  } finally {
    closeSync(handle);
  }
}
