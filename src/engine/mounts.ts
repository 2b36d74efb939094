import type { ClusterDefinition, PlacedMount } from '../cluster';
import type { ClusterRuntime } from './clusterRuntime';
import { fetchOnNode, isRemoteSource } from './remoteMount';
import type { Mount, MountOptions, StaleMount } from './views';
import type { SyncWatcher, Workdirs } from './workdirs';

const UNWATCHED: SyncWatcher = { progress: () => undefined, signal: new AbortController().signal };

/** Puts `file_mounts` on nodes, and knows by the cluster's definition which nodes have them as they are now. */
export class MountPlacer {
  /** By cluster and destination, the last of the requests that are under way. */
  private readonly placing = new Map<string, Promise<void>>();

  constructor(
    private readonly workdirs: Workdirs,
    /** Called when a cluster's definition says what was placed, for it to be stored. */
    private readonly noted: (cluster: ClusterRuntime) => Promise<void>,
  ) {}

  /**
   * Puts a source on each node that can be reached, or with `missing` on those that do not have it as it is now; after what
   * was asked for before at the same place.
   * @throws QueueError `workdir` when the source cannot be read; Error with a node's words, when all nodes were tried
   */
  async place(cluster: ClusterRuntime, mount: Mount, options: MountOptions): Promise<void> {
    const at = JSON.stringify([cluster.definition.name, mount.destination]);
    const before = this.placing.get(at) ?? Promise.resolve();
    const placed = before.catch(() => undefined).then(() => this.placeNow(cluster, mount, options));
    this.placing.set(at, placed);
    try {
      await placed;
    } finally {
      if (this.placing.get(at) === placed) this.placing.delete(at);
    }
  }

  private async placeNow(
    cluster: ClusterRuntime,
    mount: Mount,
    { missing = false, again = false }: MountOptions,
  ): Promise<void> {
    const { source, destination } = mount;
    const snapshot = isRemoteSource(source) ? undefined : await this.workdirs.take(source);
    const before = placedAs(cluster.definition, mount, snapshot);
    const wanted = cluster.sessions().filter(({ node }) => !missing || !before.includes(node));
    const results = await Promise.allSettled(
      wanted.map(async ({ node, session, exec }) => {
        if (snapshot === undefined) {
          await fetchOnNode(node, exec, source, destination, missing || again);
        } else {
          await this.workdirs.send(snapshot, session, exec, UNWATCHED);
          await session.place(snapshot, destination);
        }
      }),
    );
    const have = wanted.flatMap(({ node }, index) => (results[index]?.status === 'fulfilled' ? [node] : []));
    cluster.noteLaunch((launch) => {
      // As it is by now: another request may have placed it on other nodes.
      const others = placedAs({ ...cluster.definition, launch }, mount, snapshot);
      const nodes = [...new Set([...others, ...have])];
      // What is there is still what was placed before.
      if (nodes.length === 0 && launch.placed?.[destination]) return launch;
      const placed: PlacedMount = { source, nodes, ...(snapshot === undefined ? {} : { snapshot }) };
      return { ...launch, placed: { ...launch.placed, [destination]: placed } };
    });
    await this.noted(cluster);
    const failure = results.find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
  }

  /** Those mounts that nodes do not have as they are now; what cannot be read is passed over. */
  async stale(definition: ClusterDefinition, mounts: readonly Mount[]): Promise<StaleMount[]> {
    const found = await Promise.all(mounts.map((mount) => this.staleNow(definition, mount)));
    return found.filter((mount) => mount !== undefined);
  }

  private async staleNow(definition: ClusterDefinition, mount: Mount): Promise<StaleMount | undefined> {
    const { source, destination } = mount;
    const placed = definition.launch?.placed?.[destination];
    const all = definition.nodes.map(({ name }) => name);
    // What nobody placed need not be read, which may take long, to know that.
    if (!placed) return { ...mount, nodes: all, placed: false };
    try {
      const snapshot = isRemoteSource(source) ? undefined : await this.workdirs.take(source);
      const have = placedAs(definition, mount, snapshot);
      const nodes = all.filter((name) => !have.includes(name));
      return nodes.length === 0
        ? undefined
        : { ...mount, nodes, placed: nodes.some((name) => placed.nodes.includes(name)) };
    } catch {
      return undefined;
    }
  }
}

/** Nodes that have a mount just so. */
function placedAs(
  { launch }: ClusterDefinition,
  { source, destination }: Mount,
  snapshot: string | undefined,
): readonly string[] {
  const placed = launch?.placed?.[destination];
  return placed?.source === source && placed.snapshot === snapshot ? placed.nodes : [];
}
