import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';

/** A timer this late was asleep; on a busy machine it is late by less. */
const ASLEEP_MS = 10_000;

/** How the life of a connection is watched over. */
export interface LifeClock {
  /** The wall clock in ms. */
  readonly now: () => number;
  /** How often it is looked at, in ms. */
  readonly tickMs: number;
  /** So long without a byte of the other side, in ms, and it is asked for a sign of life. */
  readonly silentMs: number;
  /** How long its answer may take, in ms. */
  readonly answerMs: number;
}

// Longer than the engine's own check of a node is apart from the next, so that an idle connection carries nothing else.
const LIFE_CLOCK: LifeClock = { now: Date.now, tickMs: 2000, silentMs: 38_000, answerMs: 8000 };

/**
 * Asks the other side of a connection for a sign of life when it was silent for long, and when this machine has slept:
 * then at once. `dead` gets what is wrong in words, `broke: …`. Returns how to stop.
 */
export function watchLife(
  client: Pick<Client, 'unforwardIn'>,
  stream: Pick<Duplex, 'on'>,
  dead: (words: string) => void,
  { now, tickMs, silentMs, answerMs }: LifeClock = LIFE_CLOCK,
): () => void {
  let last = now();
  let heard = last;
  let deadline: NodeJS.Timeout | undefined;
  const alive = (): void => {
    clearTimeout(deadline);
    deadline = undefined;
  };
  // ssh2 reads it already.
  stream.on('data', () => {
    heard = now();
    if (deadline) alive();
  });
  const timer = setInterval(() => {
    const before = last;
    last = now();
    const slept = last - before >= tickMs + ASLEEP_MS;
    if (deadline || !(slept || last - heard >= silentMs)) return;
    const words = slept
      ? 'did not outlive this machine’s sleep'
      : `broke: nothing was heard of it for ${Math.round((last - heard + answerMs) / 1000)} s`;
    deadline = setTimeout(dead, answerMs, words);
    try {
      // Nothing is forwarded there: the server says no, and that is the sign of life.
      client.unforwardIn('127.0.0.1', 1, alive);
    } catch {
      dead(words);
    }
  }, tickMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    clearTimeout(deadline);
  };
}
