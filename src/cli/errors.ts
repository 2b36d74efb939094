import { readFileSync } from 'node:fs';
import { EXIT } from './exitCodes';

/** The text of a file that a command line names. @throws CliError which says why it cannot be read */
export function readText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${fileTrouble(error)}`);
  }
  // What PowerShell's > writes.
  if (/^(fffe|feff)/.test(bytes.toString('hex', 0, 2)))
    throw new CliError(`${file} cannot be read: it is in UTF-16; save it as UTF-8`);
  return bytes.toString('utf8');
}

/** Why a file cannot be read, without the words of the system for it where those say less. */
function fileTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES') return 'you may not read it';
  return error instanceof Error ? error.message : String(error);
}

/** A command cannot go on; the message is for stderr, the code for the shell. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.error,
  ) {
    super(message);
  }
}

/** The command line itself is wrong. */
export class UsageError extends CliError {
  constructor(message: string) {
    super(message, EXIT.usage);
  }
}
