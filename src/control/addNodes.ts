import type { NodeDefinition } from '../cluster';
import { QueueError } from '../engine';
import type { Queue } from './queue';
import { settled } from './waiting';

/**
 * Adds machines to a cluster, and waits until each was reached or is known not to be. Those that the cluster has already,
 * under other names, are not kept.
 * @throws QueueError `refused`, which names both, when there were such; the others are added
 */
export async function addNodes(
  queue: Queue,
  cluster: string,
  add: readonly NodeDefinition[],
  signal: AbortSignal,
): Promise<void> {
  const there = new Set(queue.definition(cluster).nodes.map(({ name }) => name));
  await queue.changeNodes(cluster, { add });
  await settled(queue, [cluster], signal);
  const twins = (queue.view(cluster)?.nodes ?? []).flatMap(({ name, twinOf }) =>
    twinOf === undefined || there.has(name) || !add.some((node) => node.name === name)
      ? []
      : [{ name, twinOf }],
  );
  if (twins.length === 0) return;
  await queue.changeNodes(cluster, { remove: twins.map(({ name }) => name) });
  const words = twins.map(({ name, twinOf }) => `${name} is the same machine as ${twinOf}`).join(', ');
  throw new QueueError(
    'refused',
    `${words}: it is not added to ${cluster} a second time. Name another machine, or see where this name leads (HostName in the ssh config)`,
  );
}
