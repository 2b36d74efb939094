const SLICE_MS = 8;

/**
 * Lets other work of this thread go on during a long run of synchronous steps. For many small files the synchronous calls
 * of `fs` cost a fifth of the asynchronous ones, and a turn of a few milliseconds holds up nobody.
 */
export class Slices {
  private since = performance.now();

  /** Call between steps; when the turn has been long enough, await what it returns. */
  pause(): Promise<void> | undefined {
    if (performance.now() - this.since < SLICE_MS) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.since = performance.now();
        resolve();
      });
    });
  }
}
