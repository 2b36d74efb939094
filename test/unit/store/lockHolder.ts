import { openSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreLockedError, acquire, type Lock } from '../../../src/store';

/**
 * A process that wants the lock: `node lockHolder.js <folder> <log> <die>`. It writes `enter` and `leave` with its pid to the log while it has
 * the lock, each by one appending write; with `die` it is killed while it has it.
 */
async function main(folder: string, logPath: string, fate: string): Promise<void> {
  const log = openSync(logPath, 'a');
  let lock: Lock | undefined;
  while (!lock) {
    lock = await acquire(folder).catch((error: unknown) => {
      if (error instanceof StoreLockedError) return undefined;
      throw error;
    });
    if (!lock) await sleep(1 + Math.random() * 20);
  }
  writeSync(log, `enter ${process.pid}\n`);
  await sleep(Math.random() * 3);
  if (fate === 'die') {
    writeSync(log, `die ${process.pid}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
  writeSync(log, `leave ${process.pid}\n`);
  await lock.release();
}

const [, , folder = '', logPath = '', fate = ''] = process.argv;
main(folder, logPath, fate).catch((error: unknown) => {
  rmSync(logPath, { force: true });
  throw error;
});
