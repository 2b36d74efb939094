import type { NodeDefinition } from '../cluster';
import type { Task } from '../task';
import type { Cli } from './withQueue';

/** The hosts of a pool of the user's file; says which other pools cannot be used. @throws QueueError `pools` */
export async function hostsOfPool(cli: Cli, pool: string): Promise<NodeDefinition[]> {
  const { poolNodes, poolsFile } = await import('../control');
  const nodes = await poolNodes(poolsFile(), pool);
  await tellFaults(cli);
  return nodes;
}

/** The hosts of all pools that a task names, as `hostsOfPool`. @throws QueueError `pools` */
export async function hostsOfTask(cli: Cli, task: Task): Promise<NodeDefinition[]> {
  const { nodesOfTask, poolsFile } = await import('../control');
  const nodes = await nodesOfTask(poolsFile(), task);
  if (nodes.length > 0) await tellFaults(cli);
  return nodes;
}

async function tellFaults({ terminal }: Cli): Promise<void> {
  const { faultWords, poolsFile, readPools } = await import('../control');
  for (const words of faultWords(await readPools(poolsFile()))) terminal.note(words);
}
