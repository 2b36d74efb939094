import { ProtocolError } from './wire';

/** One GPU as `nvidia-smi` names it. Memory in MiB. */
export interface GpuFact {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  readonly memoryMiB: number;
  readonly usedMiB: number;
}

/** What a node's probe found. Memory and disk in MiB. */
export interface NodeFacts {
  readonly host: string;
  readonly os: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Free in the home. */
  readonly diskMiB: number;
  readonly bash: boolean;
  readonly flock: boolean;
  /** The node's own address of the connection. */
  readonly ip: string;
  readonly gpus: readonly GpuFact[];
  /** GPU processes that no queue of ours started. */
  readonly foreign: readonly { readonly gpuUuid: string; readonly pid: number; readonly user: string }[];
  /** What went wrong in the probe, e.g. a driver's words. */
  readonly trouble?: string;
}

/**
 * Parses the probe's lines (`key value…`; see do_probe in agent.sh). GPU rows are the CSV of
 * `nvidia-smi --query-gpu=index,uuid,memory.total,memory.used,name --format=csv,noheader,nounits`.
 */
export function parseFacts(lines: readonly string[]): NodeFacts {
  const single = new Map<string, string>();
  const gpus: GpuFact[] = [];
  const foreign: { gpuUuid: string; pid: number; user: string }[] = [];
  for (const line of lines) {
    const space = line.indexOf(' ');
    const key = space < 0 ? line : line.slice(0, space);
    const value = space < 0 ? '' : line.slice(space + 1);
    if (key === 'gpu') {
      const gpu = parseGpu(value);
      if (gpu) gpus.push(gpu);
    } else if (key === 'foreign') {
      const [gpuUuid = '', pid = '', user = ''] = value.split(' ');
      foreign.push({ gpuUuid, pid: Number(pid), user });
    } else {
      single.set(key, value);
    }
  }
  const host = single.get('host');
  if (host === undefined) throw new ProtocolError('the probe did not say which host it ran on');
  const trouble = single.get('trouble');
  return {
    host,
    os: single.get('os') ?? '',
    cpus: Number(single.get('cpus')) || 1,
    memoryMiB: Number(single.get('memory')) || 0,
    diskMiB: Number(single.get('disk')) || 0,
    bash: (single.get('bash') ?? '-') !== '-',
    flock: (single.get('flock') ?? '-') !== '-',
    ip: single.get('ip') ?? '127.0.0.1',
    gpus: gpus.sort((a, b) => a.index - b.index),
    foreign,
    ...(trouble === undefined ? {} : { trouble }),
  };
}

/** The name comes last since it alone may hold a comma. A broken GPU's row (`[Unknown Error]`) is no GPU. */
function parseGpu(row: string): GpuFact | undefined {
  const match = /^\s*(\d+),\s*([^,\s]+),\s*(\d+),\s*(\d+),\s*(.+?)\s*$/.exec(row);
  if (!match) return undefined;
  const [, index, uuid, total, used, name] = match;
  if (uuid === undefined || name === undefined) return undefined;
  return { index: Number(index), uuid, name, memoryMiB: Number(total), usedMiB: Number(used) };
}
