import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { problemLines } from './problemLines';
import type { ReadTask } from './readTask';
import type { Cli } from './withQueue';

/**
 * Says where Bash cannot read the scripts of a task file, as `cq validate` does, while whoever has the queue does what was
 * asked of it just before. Never rejects: a job is queued all the same.
 */
export async function tellScripts({ terminal }: Cli, { source, task }: ReadTask): Promise<void> {
  if (!source) return;
  try {
    await setImmediate();
    const scripts = [task.setup, task.run].flatMap((script) => script ?? []);
    const good = await Promise.all(scripts.map(isRead));
    if (good.every(Boolean)) return;
    const [{ shellProblems }, { parse }] = await Promise.all([import('../task'), import('unbash')]);
    const problems = shellProblems(source.text, parse);
    for (const line of problemLines(terminal, source.name, source.text, problems)) terminal.note(line);
  } catch (error) {
    terminal.note(`${source.name}: its scripts could not be checked: ${String(error)}`);
  }
}

/**
 * Whether this machine's Bash can read a script; false also where there is none. It takes less time than to load what tells the
 * place of a mistake, which hardly any script has.
 */
async function isRead(script: string): Promise<boolean> {
  // There it may be that of WSL, which takes seconds to start.
  if (process.platform === 'win32') return false;
  // Without BASH_ENV, which names a file to read first.
  const env = { PATH: process.env.PATH ?? '' };
  const bash = spawn('bash', ['-n'], { stdio: ['pipe', 'ignore', 'ignore'], env });
  // It reads no further than to the mistake.
  bash.stdin.on('error', () => undefined);
  bash.stdin.end(script);
  try {
    const [code] = (await once(bash, 'close')) as [number | null];
    return code === 0;
  } catch {
    return false;
  }
}
