import { randomUUID } from 'node:crypto';
import type { ClusterDefinition } from '../src/cluster';
import type { JobRecord } from '../src/queue';
import { Store } from '../src/store';

/** Fills a state folder with finished jobs of a cluster, by default one without nodes, as months of use leave it. */
export async function fillHistory(
  folder: string,
  count: number,
  cluster: ClusterDefinition = { name: 'past', nodes: [] },
): Promise<void> {
  const { store } = await Store.open(folder);
  await store.putCluster({ name: cluster.name, definition: JSON.stringify(cluster) });
  const now = Date.now();
  for (let at = 0; at < count; at += 10_000) {
    const jobs = Array.from({ length: Math.min(10_000, count - at) }, (_, index) =>
      past(cluster.name, at + index + 1, now),
    );
    await store.addJobs(jobs);
  }
  await store.compact();
  await store.close();
}

function past(cluster: string, id: number, now: number): JobRecord {
  return {
    uuid: randomUUID(),
    cluster,
    id,
    name: `train-${id % 50}`,
    user: 'me',
    status: 'SUCCEEDED',
    priority: 0,
    order: id,
    demand: { numNodes: 1, alternatives: [{ gpu: { name: 'V100', count: 1 }, cpus: 0, memoryMiB: 0 }] },
    spec: {
      envs: { DATA: '/data/imagenet', SEED: String(id) },
      resources: '1x[V100:1]',
      file: '/home/me/train.task.yaml',
      run: 'python train.py --data $DATA --seed $SEED --epochs 90 --batch-size 256\n'.repeat(4),
    },
    submittedAt: now - 1000 * id,
    startedAt: now - 900 * id,
    endedAt: now - 500 * id,
    placement: { alternative: 0, ranks: [{ node: 'node', devices: [0] }] },
    exitCodes: [0],
    logBytes: 20_000,
  };
}
