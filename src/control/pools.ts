import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { nodesOfPool, parsePools, type ClusterDefinition, type NodeDefinition, type Pool } from '../cluster';
import { QueueError } from '../engine/errors';
import type { Task } from '../task';

/**
 * The node pools of a file; none when there is no such file.
 * @throws QueueError `pools` at its first mistake, with file and line, or when it cannot be read
 */
export async function readPools(file: string): Promise<Pool[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new QueueError('pools', `the node pools cannot be read: ${String(error)}`);
  }
  const { pools, problems } = parsePools(text);
  const first = problems.filter(({ severity }) => severity === 'error').sort((a, b) => a.start - b.start)[0];
  if (!first) return pools;
  const line = text.slice(0, first.start).split('\n').length;
  throw new QueueError('pools', `${file}:${line}: ${first.message}`);
}

/** The hosts of one pool. @throws QueueError `pools` */
export async function poolNodes(file: string, name: string): Promise<NodeDefinition[]> {
  const pools = await readPools(file);
  const pool = pools.find((candidate) => candidate.name === name);
  if (pool) return nodesOfPool(pool, file);
  const known = pools.map((candidate) => candidate.name).join(', ');
  throw new QueueError(
    'pools',
    known === ''
      ? `there is no node pool ${name}: ${existsSync(file) ? `${file} lists none` : `there is no file ${file}`}`
      : `there is no node pool ${name} in ${file} (known: ${known})`,
  );
}

/** The node pools that a task names by `infra: ssh/POOL`, of its alternatives in order; none where it leaves that open. */
export function poolsOfTask({ resources }: Task): string[] {
  const named = resources.flatMap(({ infra = '' }) => /^ssh\/(.+)$/i.exec(infra.trim())?.[1] ?? []);
  return [...new Set(named)];
}

/** The hosts of all pools that a task names, each once. @throws QueueError `pools` */
export async function nodesOfTask(file: string, task: Task): Promise<NodeDefinition[]> {
  const nodes: NodeDefinition[] = [];
  for (const pool of poolsOfTask(task)) {
    const there = new Set(nodes.map(({ name }) => name));
    nodes.push(...(await poolNodes(file, pool)).filter(({ name }) => !there.has(name)));
  }
  return nodes;
}

/**
 * What is to be said when a task names pools and goes to a cluster that has other machines; undefined when all of its nodes are
 * of them. `file` is the pools file as it is now: machines may be of a pool that were not taken from it.
 */
export async function otherPoolWords(
  file: string,
  task: Task,
  { name, nodes }: ClusterDefinition,
): Promise<string | undefined> {
  const wanted = poolsOfTask(task);
  if (wanted.length === 0) return undefined;
  // What the file cannot tell now, the nodes do that were taken from it.
  const hosts = await nodesOfTask(file, task).catch(() => []);
  const destinations = new Set(hosts.map(({ destination }) => destination));
  const others = nodes.filter(
    ({ destination, login }) =>
      !wanted.includes(login?.pool?.name ?? '') &&
      !(destination !== undefined && destinations.has(destination)),
  );
  if (others.length === 0) return undefined;
  const named = wanted.map((pool) => `ssh/${pool}`).join(', ');
  return `infra says ${named}, and ${others.map((node) => node.name).join(', ')} of ${name} ${others.length === 1 ? 'is' : 'are'} not of that: ${name} is used as it is`;
}
