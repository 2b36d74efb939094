import type {
  GpuDemand,
  JobDemand,
  NodeDemand,
  SchedulerDevice,
  SchedulerJob,
  SchedulerNode,
} from '../../../src/queue';
import { Scheduler } from '../../../src/queue';

/** `4xV100`, `0.5xV100`, `2x*` (any GPU) or '' (none). */
export function need(gpus: string, rest: { cpus?: number; memoryMiB?: number } = {}): NodeDemand {
  const [count, name] = gpus.split('x');
  const gpu: GpuDemand | undefined =
    gpus === ''
      ? undefined
      : { count: Number(count), ...(name === '*' || name === undefined ? {} : { name }) };
  return { ...(gpu ? { gpu } : {}), cpus: rest.cpus ?? 0.5, memoryMiB: rest.memoryMiB ?? 0 };
}

/** A demand of alternatives, tried in order, on so many nodes. */
export function demand(alternatives: string | NodeDemand | readonly NodeDemand[], numNodes = 1): JobDemand {
  if (typeof alternatives === 'string') return { numNodes, alternatives: [need(alternatives)] };
  return { numNodes, alternatives: 'cpus' in alternatives ? [alternatives] : alternatives };
}

export function devices(count: number, name: string, more: Partial<SchedulerDevice> = {}): SchedulerDevice[] {
  return Array.from({ length: count }, (_, index) => ({ index, name, ...more }));
}

export function aNode(
  id: string,
  gpus: readonly SchedulerDevice[],
  more: Partial<SchedulerNode> = {},
): SchedulerNode {
  return { id, cpus: 64, memoryMiB: 256 * 1024, devices: gpus, ...more };
}

export function aScheduler(...nodes: SchedulerNode[]): Scheduler {
  const scheduler = new Scheduler();
  for (const node of nodes) scheduler.setNode(node);
  return scheduler;
}

/** A job whose id is its number, which is also its order. */
export function aJob(number: number, wants: JobDemand, more: Partial<SchedulerJob> = {}): SchedulerJob {
  return { id: String(number), order: number, priority: 0, demand: wants, ...more };
}

/** What starts now, as `2: node-a[0,1]`; alternatives past the first as `2: node-a[0] alt 1`. */
export function starts(scheduler: Scheduler): string[] {
  return scheduler.takeStarts().map(({ id, placement }) => {
    const ranks = placement.ranks.map(({ node, devices: given }) => `${node}[${given.join(',')}]`).join(' ');
    return `${id}: ${ranks}${placement.alternative > 0 ? ` alt ${placement.alternative}` : ''}`;
  });
}
