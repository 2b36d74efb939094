import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { nodesOfPool, parsePools, type ClusterDefinition, type NodeDefinition, type Pool } from '../cluster';
import { QueueError } from '../engine/errors';
import type { Problem, Task } from '../task';

/** What a node pools file has. */
export interface NodePools {
  /** Those that can be used. */
  readonly pools: readonly Pool[];
  /** What is wrong with each of the others, with file and line, by its name. */
  readonly faults: ReadonlyMap<string, string>;
}

/**
 * The node pools of a file; none when there is no such file. A mistake in one pool is no reason not to use the others.
 * @throws QueueError `pools` with file and line where the file is no list of pools, or when it cannot be read
 */
export async function readPools(file: string): Promise<NodePools> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { pools: [], faults: new Map() };
    throw new QueueError('pools', `the node pools cannot be read: ${String(error)}`);
  }
  const wordsOf = ({ start, message }: Problem): string =>
    `${file}:${text.slice(0, start).split('\n').length}: ${message}`;
  const { pools, problems } = parsePools(text);
  const faults = new Map(pools.flatMap(({ name, flaw }) => (flaw ? [[name, wordsOf(flaw)]] : [])));
  const whole = problems.find(
    ({ severity, code }) => severity === 'error' && (pools.length === 0 || code === 'several-documents'),
  );
  if (whole) throw new QueueError('pools', wordsOf(whole));
  return { pools: pools.filter(({ flaw }) => !flaw), faults };
}

/** What is to be said of the pools of a file that cannot be used, a line each; of pools with the same mistake, one line. */
export function faultWords({ faults }: NodePools): string[] {
  const names = (words: string): string[] => [...faults.keys()].filter((name) => faults.get(name) === words);
  return [...new Set(faults.values())].map(
    (words) => `${words} (not usable until that is mended: ${names(words).join(', ')})`,
  );
}

/** The hosts of one pool. @throws QueueError `pools` */
export async function poolNodes(file: string, name: string): Promise<NodeDefinition[]> {
  const { pools, faults } = await readPools(file);
  const pool = pools.find((candidate) => candidate.name === name);
  if (pool) return nodesOfPool(pool, file);
  const fault = faults.get(name);
  if (fault !== undefined) throw new QueueError('pools', fault);
  const known = [...pools.map((candidate) => candidate.name), ...faults.keys()].join(', ');
  // A mistake above may be why it was not seen.
  const why = [...faults.values()].map((words) => `; ${words}`).join('');
  throw new QueueError(
    'pools',
    known === ''
      ? `there is no node pool ${name}: ${existsSync(file) ? `${file} lists none` : `there is no file ${file}`}`
      : `there is no node pool ${name} in ${file} (known: ${known})${why}`,
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
