import type { Client } from 'ssh2';

const TICK_MS = 2000;
/** A timer this late was asleep; a busy machine is late by less. */
const ASLEEP_MS = 10_000;
const ANSWER_MS = 5000;

/**
 * Notices that this machine slept, and then asks the other side for a sign of life: keepalives alone would take the
 * better part of a minute. Returns how to stop. `now` in ms of the wall clock.
 */
export function watchWaking(client: Client, dead: () => void, now: () => number = Date.now): () => void {
  let last = now();
  let deadline: NodeJS.Timeout | undefined;
  const timer = setInterval(() => {
    const before = last;
    last = now();
    if (last - before < TICK_MS + ASLEEP_MS || deadline) return;
    deadline = setTimeout(dead, ANSWER_MS);
    const alive = (): void => {
      clearTimeout(deadline);
      deadline = undefined;
    };
    try {
      // Nothing is forwarded there: the server says no, and that is the sign of life.
      client.unforwardIn('127.0.0.1', 1, alive);
    } catch {
      dead();
    }
  }, TICK_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    clearTimeout(deadline);
  };
}
