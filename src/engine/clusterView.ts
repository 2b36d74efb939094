import type { NodeUsage, Scheduler } from '../queue';
import type { ClusterNodes } from './clusterNodes';
import type { ClusterView } from './views';

/** The nodes of a cluster, to be shown. */
export type ShownNodes = Pick<ClusterNodes, 'definition' | 'about' | 'twinOf' | 'linkState' | 'elsewhere'>;

/** The jobs of a cluster, to be shown. */
export interface ShownJobs extends Pick<ClusterView, 'pending' | 'staged' | 'running'> {
  /** By uuid, how those that are on nodes are called. */
  readonly labels: ReadonlyMap<string, string>;
}

/** A cluster as it is now, for a person. */
export function clusterView(
  nodes: ShownNodes,
  books: Pick<Scheduler, 'usage'>,
  jobs: ShownJobs,
): ClusterView {
  const { definition } = nodes;
  const { labels, pending, staged, running } = jobs;
  return {
    name: definition.name,
    local: definition.nodes.every(({ destination }) => destination === undefined),
    ...(definition.launch?.step && { launch: definition.launch.step }),
    nodes: definition.nodes.map((node) => {
      const about = nodes.about(node.name);
      const twinOf = nodes.twinOf(node.name);
      const usage = node.inventory ? named(books.usage(node.name), node.name, nodes, labels) : undefined;
      return {
        name: node.name,
        link: nodes.linkState(node.name),
        virtual: node.virtual !== undefined,
        ...(about === undefined ? {} : { about }),
        ...(twinOf === undefined ? {} : { twinOf }),
        ...(node.draining === true ? { draining: true as const } : {}),
        ...(node.destination === undefined ? {} : { destination: node.destination }),
        ...(usage === undefined ? {} : { usage }),
      };
    }),
    pending,
    staged,
    running,
  };
}

/** With the jobs' names, and who else has a device that this cluster has not given away. */
function named(
  usage: NodeUsage,
  node: string,
  nodes: ShownNodes,
  labels: ReadonlyMap<string, string>,
): NodeUsage {
  const names = (ids: readonly string[]): string[] => ids.map((id) => labels.get(id) ?? id);
  return {
    ...usage,
    jobs: names(usage.jobs),
    devices: usage.devices.map((device) => {
      const elsewhere = device.foreign === undefined ? nodes.elsewhere(node, device.index) : undefined;
      return {
        ...device,
        jobs: names(device.jobs),
        ...(elsewhere && device.jobs.length === 0 ? { foreign: elsewhere.by, free: elsewhere.free } : {}),
      };
    }),
  };
}
