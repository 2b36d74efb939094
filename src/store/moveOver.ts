import { rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCodeOf } from './errors';

// Longer than a virus scanner or an indexer looks at a new file.
const PATIENCE_MS = 2_000;
const FIRST_PAUSE_MS = 10;

/** What `moveOver` rests on; tests pass a system of their own. */
export interface Moving {
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly windows: boolean;
}

/**
 * Puts a file in the place of another (or none), in one step. Windows says no while anybody has one of the two open, as virus
 * scanners and other readers do for a moment: there it is tried again for two seconds.
 * @throws the error of `rename`
 */
export async function moveOver(
  from: string,
  to: string,
  { rename: move, windows }: Moving = { rename, windows: process.platform === 'win32' },
): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause *= 2) {
    try {
      await move(from, to);
      return;
    } catch (error) {
      const held = ['EPERM', 'EACCES', 'EBUSY'].includes(systemCodeOf(error));
      if (!windows || !held || Date.now() + pause > end) throw error;
    }
    await sleep(pause);
  }
}
