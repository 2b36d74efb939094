import type { GpuDemand, JobDemand, NodeDemand } from '../queue';
import type { ResourceAlternative, Task } from '../task';

// SkyPilot's share for a task that asks for no CPU (sky/backends: DEFAULT_TASK_CPU_DEMAND).
const DEFAULT_CPUS = 0.5;

/** What a task takes of each node; `4` and `4+` both mean at least 4 of one's own machine. */
export function demandOf(task: Task): JobDemand {
  return { numNodes: task.numNodes, alternatives: task.resources.map(nodeDemand) };
}

function nodeDemand(alternative: ResourceAlternative): NodeDemand {
  const cpus = alternative.cpus?.amount ?? DEFAULT_CPUS;
  const memory = alternative.memoryMiB;
  const memoryMiB = memory === undefined ? 0 : memory.perCpu ? memory.amount * cpus * 1024 : memory.amount;
  const { accelerator } = alternative;
  if (!accelerator) return { cpus, memoryMiB };
  const gpu: GpuDemand = {
    count: accelerator.count,
    ...(accelerator.name === undefined ? {} : { name: accelerator.name }),
    ...(accelerator.memoryMiB === undefined ? {} : { memoryMiB: accelerator.memoryMiB }),
  };
  return { cpus, memoryMiB, gpu };
}

/** GPUs of a node for `SKYPILOT_NUM_GPUS_PER_NODE`: whole, also where a part of one is asked for. */
export function gpusPerNode(demand: NodeDemand | undefined): number {
  return Math.ceil(demand?.gpu?.count ?? 0);
}

/** `2x[V100:4]`, as SkyPilot's RESOURCES column; alternatives joined by `|`. */
export function resourcesText(demand: JobDemand): string {
  const each = demand.alternatives.map(({ gpu, cpus }) => {
    if (!gpu) return `CPU:${cpus}`;
    const memory =
      gpu.memoryMiB === undefined
        ? undefined
        : `${Math.round(gpu.memoryMiB.amount / 1024)}GB${gpu.memoryMiB.atLeast ? '+' : ''}`;
    return `${gpu.name ?? memory ?? 'GPU'}:${gpu.count}`;
  });
  return `${demand.numNodes}x[${each.join('|')}]`;
}
