import type { GpuDemand, NodeDemand } from './job';
import { wantsGpu } from './demand';
import type { JobRecord } from './jobRecord';
import type { DeviceUsage } from './usage';

/** A number without the noise of binary fractions: `0.3`, not `0.30000000000000004`. */
export function amount(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}

/** `4 × V100`, `2 × GPU`, `1 × GPU with 16 GB or more`. */
export function gpuWords(gpu: GpuDemand): string {
  const memory = gpu.memoryMiB;
  const size = memory ? ` with ${amount(memory.amount / 1024)} GB${memory.atLeast ? ' or more' : ''}` : '';
  return `${amount(gpu.count)} × ${gpu.name ?? 'GPU'}${size}`;
}

/** `1 CPU`, `0.5 CPUs`. */
export function cpuWords(cpus: number): string {
  return cpus === 1 ? '1 CPU' : `${amount(cpus)} CPUs`;
}

/** Who has a GPU, and what of it is free when it is shared: `free`, `job 1`, `job 1 · 0.7 free`, `used by eve, …`. */
export function deviceWords({ free, jobs, foreign }: DeviceUsage): string {
  // A user by name; another cluster or queue by words that say so.
  if (foreign !== undefined)
    return /\s/.test(foreign) ? `used by ${foreign}` : `used by ${foreign || '?'}, outside any queue`;
  if (jobs.length === 0) return 'free';
  return [jobs.join(', '), ...(free > 0 ? [`${amount(free)} free`] : [])].join(' · ');
}

/** `1 job`, `2 jobs`. */
export function jobsWords(count: number): string {
  return count === 1 ? '1 job' : `${count} jobs`;
}

/** `1 file`, `2 files`. */
export function filesWords(count: number): string {
  return count === 1 ? '1 file' : `${count} files`;
}

/** `1 running, 2 waiting`, without what there is none of. */
export function queueWords(running: number, waiting: number): string {
  return [
    ...(running > 0 ? [`${running} running`] : []),
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
  ].join(', ');
}

/** What happens to waiting jobs when the last window is closed: of those staged on their nodes, and of the others. */
export function unattendedWords(staged: number, others: number): string[] {
  const onNodes =
    staged === 1
      ? '1 waits on its node: it starts also when VS Code is closed'
      : `${staged} wait on their nodes: they start also when VS Code is closed`;
  const here =
    others === 1
      ? '1 waits for VS Code: it starts only while that is open, or cq engine runs'
      : `${others} wait for VS Code: they start only while that is open, or cq engine runs`;
  return [...(staged > 0 ? [onNodes] : []), ...(others > 0 ? [here] : [])];
}

/** `64 GB of memory`. */
export function memoryWords(mib: number): string {
  return `${gigabytes(mib)} of memory`;
}

/** `64 GB`, in the sense of task files: 1 GB = 1024 MiB. */
export function gigabytes(mib: number): string {
  return `${amount(mib / 1024)} GB`;
}

/** `1 byte`, `512 bytes`, `1.5 kB`, `20 MB`, `1.2 GB`; 1 kB = 1000 bytes. */
export function bytesWords(bytes: number): string {
  if (bytes < 1000) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  const [unit, name] = bytes < 1e6 ? [1e3, 'kB'] : bytes < 1e9 ? [1e6, 'MB'] : [1e9, 'GB'];
  return `${(bytes / unit).toFixed(bytes < 10 * unit ? 1 : 0)} ${name}`;
}

/**
 * What is wrong with a node, to be read after its name: without that name where it would stand twice, so that the cause
 * comes first. `names`: how the node may be called in it.
 */
export function afterName(message: string, ...names: readonly (string | undefined)[]): string {
  let words = message;
  for (const name of names) {
    if (name === undefined) continue;
    // Its address says as much, and is not known yet.
    words = words.replace(new RegExp(`(?<!\\S)${escaped(name)} \\((\\S+:\\d+)\\)`), '$1');
    if (words.startsWith(`${name} `)) words = words.slice(name.length + 1);
  }
  return words;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** All that a demand asks of one node. */
export function demandWords(demand: NodeDemand): string {
  const parts: string[] = [];
  if (wantsGpu(demand)) parts.push(gpuWords(demand.gpu));
  parts.push(cpuWords(demand.cpus));
  if (demand.memoryMiB > 0) parts.push(memoryWords(demand.memoryMiB));
  return list(parts, parts.length);
}

/** `a`, `a and b`, `a, b and c`; after `most` items, how many more there are. */
export function list(items: readonly string[], most: number): string {
  const shown = items.slice(0, most);
  if (items.length > most) shown.push(`${items.length - most} more`);
  const last = shown.pop() ?? '';
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}

/** What of a job's workdir did not come along; undefined when all did. */
export function lacksWords({ spec: { workdir = '', lacks } }: Pick<JobRecord, 'spec'>): string | undefined {
  return lacks === undefined ? undefined : `workdir ${workdir}: ${lacks}`;
}
