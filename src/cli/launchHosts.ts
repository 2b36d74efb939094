import os from 'node:os';
import type { NodeDefinition } from '../cluster';
import type { Task } from '../task';
import { CliError, UsageError } from './errors';
import { hostsOfPool, hostsOfTask } from './pools';
import { LOCAL, type QueueCli } from './withQueue';

/** Options that say which machines a cluster is made of. */
export interface HostFlags {
  readonly cluster: string;
  readonly hosts?: string;
  readonly pool?: string;
  readonly infra?: string;
  readonly local?: boolean;
}

/** What `--infra` changes in a task. @throws UsageError for what is none, and for clouds */
export function infraOf(infra: string | undefined): { infra?: string } {
  if (infra === undefined) return {};
  if (!/^(ssh(\/.+)?|\*)$/i.test(infra))
    throw new UsageError(
      `--infra ${infra}: your machines are ssh/POOL, for a pool of ~/.sky/ssh_node_pools.yaml; clouds are for SkyPilot itself`,
    );
  return { infra };
}

/** The candidates that the options name; none when the cluster is there and they agree. */
export async function nodesFor(
  cli: QueueCli,
  flags: HostFlags,
  task: Task,
  virtual: NodeDefinition['virtual'],
): Promise<readonly NodeDefinition[]> {
  const { nodesOf, otherPoolWords, poolsFile } = await import('../control');
  const { queue, terminal } = cli;
  const name = flags.cluster;
  const hosts = (flags.hosts ?? '').split(/[\s,]+/);
  const nodes =
    flags.local === true
      ? [{ name: os.hostname(), ...(virtual === undefined ? {} : { virtual }) }]
      : flags.pool === undefined
        ? nodesOf(hosts.filter((host) => host !== ''))
        : await hostsOfPool(cli, flags.pool);
  if (!queue.view(name)) {
    const candidates = nodes.length > 0 ? nodes : await hostsOfTask(cli, task);
    if (candidates.length === 0)
      throw new UsageError(
        `say which machines ${name} is made of: --hosts HOST,…, --pool POOL, --local, or infra: ssh/POOL in the file`,
      );
    return candidates;
  }
  // It was never made: now perhaps of other machines.
  if (queue.view(name)?.launch?.name === 'connect') return nodes;
  const other =
    nodes.length > 0 ? undefined : await otherPoolWords(poolsFile(), task, queue.definition(name));
  if (other !== undefined) terminal.note(other);
  // The same command line once more: the cluster has those of its candidates that were taken.
  const given = new Set(nodes.map(destinationOf));
  const there = queue.definition(name).nodes.map(destinationOf);
  if (nodes.length > 0 && there.some((destination) => !given.has(destination))) {
    if (name === LOCAL)
      throw new CliError(`${name} is this machine itself: give a cluster of others another name`);
    throw new CliError(
      `there is a cluster ${name} already, of ${there.join(',')}; take it down with: cq down ${name}`,
    );
  }
  if (virtual !== undefined) await queue.defineLocal(name, virtual);
  return [];
}

function destinationOf({ destination, name }: NodeDefinition): string {
  return destination ?? name;
}
