import type { ClusterView } from '../engine';
import type { Queue } from './queue';

/** How long a command waits for nodes that it must hear from, before it says what is known; not much longer than a login takes. */
export const PATIENCE_MS = 8000;

/** Resolves when `met` holds, or with false when the time is over or the signal is given. */
export function until(
  queue: Pick<Queue, 'onDidChange'>,
  met: () => boolean,
  signal: AbortSignal,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (value: boolean): void => {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener('abort', stop);
      resolve(value);
    };
    const check = (): void => {
      if (met()) finish(true);
    };
    const stop = (): void => finish(false);
    const timer = Number.isFinite(limitMs) ? setTimeout(stop, limitMs) : undefined;
    const unsubscribe = queue.onDidChange(check);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    else check();
  });
}

/** The nodes that have neither answered nor are known not to; none of a cluster that is gone. */
export function unsettled(view: ClusterView | undefined): string[] {
  return (view?.nodes ?? []).flatMap(({ name, link }) =>
    link.state === 'up' || link.state === 'down' ? [] : [name],
  );
}

/** Connects to clusters, and resolves when each node has answered or is known not to; at most so long as one waits for that. */
export async function settled(
  queue: Pick<Queue, 'connect' | 'view' | 'onDidChange'>,
  clusters: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const name of clusters) queue.connect(name);
  const met = (): boolean => clusters.every((name) => unsettled(queue.view(name)).length === 0);
  await until(queue, met, signal, PATIENCE_MS);
}
