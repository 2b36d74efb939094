import type { NodesChange } from '../cluster';
import type { JobRecord } from '../queue';
import type { ClusterNodes } from './clusterNodes';
import { QueueError } from './errors';
import { rankUuid, type JobRun } from './jobRun';
import type { Staging } from './staging';

/** The cluster whose nodes change. */
export interface ChangingCluster {
  readonly nodes: Pick<ClusterNodes, 'definition' | 'find' | 'session' | 'open' | 'change' | 'want'>;
  readonly staging: Pick<Staging, 'withdraw' | 'returned' | 'detached' | 'abandon'>;
  /** The jobs that are on nodes. */
  runs(): Iterable<Pick<JobRun, 'record' | 'on' | 'lose'>>;
}

// Jobs whose folders a node removes in one request.
const FORGET_AT_ONCE = 100;
// How long a cluster waits for nodes that it leaves to be tidied up.
const LEAVE_MS = 10_000;

/** Nodes come to a cluster at work, and leave it: one that goes has nothing of the queue on it any more. */
export class NodeChanges {
  constructor(private readonly cluster: ChangingCluster) {}

  /** As `ClusterRuntime.changeNodes`. @throws QueueError `cluster-busy`, `refused` */
  async make(change: NodesChange): Promise<void> {
    const { nodes, staging } = this.cluster;
    const { definition } = nodes;
    this.assertIdle(change.remove ?? []);
    const left = definition.nodes.filter(({ name }) => change.remove?.includes(name) !== true);
    if (left.length + (change.add?.length ?? 0) === 0)
      throw new QueueError(
        'refused',
        `${definition.name} would have no node left: take the cluster down instead`,
      );
    await this.empty(change.remove ?? []);
    for (const name of change.remove ?? []) this.giveUpRuns(name);
    nodes.change(change);
    for (const name of change.drain ?? []) staging.withdraw(name);
    for (const name of change.remove ?? []) {
      staging.detached(name);
      staging.abandon(name);
    }
    nodes.want();
  }

  /** Takes along what these jobs, and then the agent, left on the nodes that can be reached. Never rejects. */
  async leave(records: readonly JobRecord[]): Promise<void> {
    const left = this.cluster.nodes.open().map(async ({ node, session }) => {
      // What it could not do is left behind: the cluster is gone, and so is whoever could be told.
      await session.atBoot('leave').catch(() => undefined);
      const uuids = records.flatMap(({ uuid, placement }) =>
        (placement?.ranks ?? []).flatMap((rank, index) =>
          rank.node === node ? [rankUuid(uuid, index)] : [],
        ),
      );
      for (let at = 0; at < uuids.length; at += FORGET_AT_ONCE)
        await session.forget(uuids.slice(at, at + FORGET_AT_ONCE));
      await session.leave();
    });
    await tidied(left);
  }

  /** Takes back what waits on nodes, which get nothing more, and tidies up there. @throws QueueError `cluster-busy` */
  private async empty(names: readonly string[]): Promise<void> {
    const { nodes, staging } = this.cluster;
    const drained = names.filter((name) => nodes.find(name)?.draining !== true);
    // Or what was taken back would be staged there again.
    if (drained.length > 0) nodes.change({ drain: drained });
    await Promise.all(
      names.map(async (name) => {
        staging.withdraw(name);
        await staging.returned(name);
        const session = nodes.session(name);
        // A launch gives back most of those that it looked at: nothing of it stays there.
        if (session) await tidied([session.atBoot('leave'), session.leave()]);
      }),
    );
    try {
      this.assertIdle(names);
    } catch (error) {
      if (drained.length > 0) nodes.change({ undrain: drained });
      throw error;
    }
  }

  /** Jobs that were cancelled on a node which cannot be reached: nobody will hear of their end. */
  private giveUpRuns(node: string): void {
    for (const run of [...this.cluster.runs()])
      for (const rank of run.on(node))
        run.lose(rank, `${node} could not be reached when it was removed: it may run there still`);
  }

  private assertIdle(names: readonly string[]): void {
    for (const name of names) {
      const away = this.cluster.nodes.session(name) === undefined;
      const run = [...this.cluster.runs()].find(
        (candidate) => candidate.on(name).length > 0 && !(away && candidate.record.cancelling === true),
      );
      if (!run) continue;
      const { id, name: job } = run.record;
      throw new QueueError(
        'cluster-busy',
        `${name} has job ${id} (${job}): cancel it, or drain the node and wait until it has ended`,
      );
    }
  }
}

/** Waits for what tidies up nodes, but not for ever. Never rejects. */
async function tidied(work: readonly Promise<unknown>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, LEAVE_MS)));
  await Promise.race([Promise.allSettled(work), late]);
  clearTimeout(timer);
}
