import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';

/** Bundles a TypeScript program of this folder into the given one; resolves npm packages from the repository. */
export function buildProgram(name: string, folder: string): string {
  const outfile = join(folder, `${name}.js`);
  buildSync({
    entryPoints: [resolve('test/unit/store', `${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    // The program lies outside the repository, so what it needs is bundled as in the shipped extension.
    logLevel: 'warning',
  });
  return outfile;
}

/** Starts a program under this Node; its stderr is ours. */
export function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Resolves to the exit code, or null when a signal ended it. */
export async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}
