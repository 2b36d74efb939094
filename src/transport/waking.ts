import type { Client } from 'ssh2';

/** A timer this late was asleep; on a busy machine it is late by less. */
const ASLEEP_MS = 10_000;

/** The wall clock in ms, how often it is looked at, and how long an answer may take. */
export interface WakingClock {
  readonly now: () => number;
  readonly tickMs: number;
  readonly answerMs: number;
}

const CLOCK: WakingClock = { now: Date.now, tickMs: 2000, answerMs: 5000 };

/**
 * Notices that this machine slept, and then asks the other side for a sign of life: keepalives alone would take the
 * better part of a minute. Returns how to stop.
 */
export function watchWaking(
  client: Pick<Client, 'unforwardIn'>,
  dead: () => void,
  { now, tickMs, answerMs }: WakingClock = CLOCK,
): () => void {
  let last = now();
  let deadline: NodeJS.Timeout | undefined;
  const timer = setInterval(() => {
    const before = last;
    last = now();
    if (last - before < tickMs + ASLEEP_MS || deadline) return;
    deadline = setTimeout(dead, answerMs);
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
  }, tickMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    clearTimeout(deadline);
  };
}
