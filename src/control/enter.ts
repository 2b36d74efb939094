import { setTimeout as sleep } from 'node:timers/promises';
import { acquire, StoreLockedError, type Lock } from '../store';
import { Client, unanswered } from './client';
import { readEndpoint } from './endpoint';
import { Host } from './host';
import type { QueueOptions } from './queue';

// A process that has the lock listens a moment later; one that closes releases the lock a moment after it stops listening.
const PATIENCE_MS = 15_000;
const PAUSE_MS = 15;

/**
 * Becomes a client of the process that has the state folder's lock, or takes the lock and hosts the engine.
 * @throws QueueError `version`, `unreachable`; StoreError
 */
export async function enter(options: QueueOptions): Promise<Host | Client> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const endpoint = await readEndpoint(options.home);
    const client = endpoint && (await Client.connect(endpoint, options, PATIENCE_MS));
    if (client) return client;
    const lock = await tryLock(options.home, deadline);
    if (lock) return Host.open(options, lock);
    // Not in step: of many that wait for one process, each looks at another time.
    await sleep(PAUSE_MS * (1 + Math.random()));
  }
}

async function tryLock(home: string, deadline: number): Promise<Lock | undefined> {
  try {
    return await acquire(home);
  } catch (error) {
    if (!(error instanceof StoreLockedError) || !error.visible) throw error;
    if (Date.now() < deadline) return undefined;
    throw unanswered(error.pid);
  }
}
