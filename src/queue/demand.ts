import type { GpuDemand, JobDemand, NodeDemand } from './job';
import { cpuUnits, memoryUnits, shareUnits, WHOLE } from './units';

/** One alternative in the scheduler's integers. */
export interface Need {
  /** Names the set of devices that will do; equal keys accept equal devices. Empty for a job without GPU. */
  readonly gpuKey: string;
  readonly gpu: GpuDemand | undefined;
  /** Share units per device: WHOLE, a fraction of it, or 0 without GPU. */
  readonly units: number;
  /** Devices per node. */
  readonly devices: number;
  readonly cpus: number;
  readonly memory: number;
}

/** A demand prepared for the scheduler. Two jobs with equal keys always fit or don't fit together. */
export interface CompiledDemand {
  readonly key: string;
  readonly numNodes: number;
  /** In the order of `JobDemand.alternatives`. */
  readonly needs: readonly Need[];
}

/** The devices a GPU demand accepts, as a key; of the count it has only whether slices will do. */
function gpuKey(gpu: GpuDemand): string {
  const memory = gpu.memoryMiB;
  const size = memory ? `${memory.amount}${memory.atLeast ? '+' : ''}` : '';
  return `${gpu.name?.toLowerCase() ?? (wantsNoSlices(gpu) ? '**' : '*')}/${size}`;
}

/** True when the devices must be whole GPUs, whatever their name. */
export function wantsNoSlices({ name, count }: GpuDemand): boolean {
  return name === undefined && count > 1;
}

/** True when the demand asks for any share of a GPU. */
export function wantsGpu(demand: NodeDemand): demand is NodeDemand & { readonly gpu: GpuDemand } {
  return demand.gpu !== undefined && demand.gpu.count > 0;
}

/** Equal for demands that are equal to the scheduler, whatever objects they are. */
export function demandKey(demand: JobDemand): string {
  let key = `${demand.numNodes}`;
  for (const alternative of demand.alternatives) {
    const gpu = wantsGpu(alternative) ? `${gpuKey(alternative.gpu)}:${alternative.gpu.count}` : '';
    key += `|${gpu},${alternative.cpus},${alternative.memoryMiB}`;
  }
  return key;
}

/** Prepares one alternative. */
export function compileNeed(demand: NodeDemand): Need {
  const cpus = cpuUnits(demand.cpus);
  const memory = memoryUnits(demand.memoryMiB);
  if (!wantsGpu(demand)) return { gpuKey: '', gpu: undefined, units: 0, devices: 0, cpus, memory };
  const units = shareUnits(demand.gpu.count);
  const key = gpuKey(demand.gpu);
  return units < WHOLE
    ? { gpuKey: key, gpu: demand.gpu, units, devices: 1, cpus, memory }
    : { gpuKey: key, gpu: demand.gpu, units: WHOLE, devices: units / WHOLE, cpus, memory };
}

/** Prepares a whole demand. */
export function compileDemand(demand: JobDemand, key: string): CompiledDemand {
  return { key, numNodes: demand.numNodes, needs: demand.alternatives.map(compileNeed) };
}
