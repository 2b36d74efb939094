import type { ClusterRuntime } from './clusterRuntime';
import type { Unsubscribe } from './emitter';
import { QueueError } from './errors';

/** A cluster whose nodes can be waited for. */
export type Reachable = Pick<ClusterRuntime, 'want' | 'session' | 'linkState'>;

/**
 * Resolves when a node can be talked to. @throws QueueError `outputs` when it cannot, or Error when it is given up by the signal
 * @param onChange calls whenever a link may have changed
 */
export function reached(
  cluster: Reachable,
  node: string,
  onChange: (listener: () => void) => Unsubscribe,
  signal?: AbortSignal,
): Promise<void> {
  cluster.want(true);
  return new Promise((resolve, reject) => {
    const end = (work: () => void): void => {
      stop();
      signal?.removeEventListener('abort', abort);
      work();
    };
    const abort = (): void => end(() => reject(new Error('given up')));
    const check = (): void => {
      const link = cluster.linkState(node);
      if (cluster.session(node)) end(resolve);
      else if (link.state === 'down')
        end(() => reject(new QueueError('outputs', `${node} cannot be reached: ${link.message}`)));
    };
    const stop = onChange(check);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    else check();
  });
}
