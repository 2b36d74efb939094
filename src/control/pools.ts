import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { nodesOfPool, parsePools, type NodeDefinition, type Pool } from '../cluster';
import { QueueError } from '../engine/errors';

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
