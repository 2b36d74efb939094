import { amdWords, gpusOf, smiWords } from './gpuFacts';
import { ProtocolError } from './wire';

/** One GPU, or one MIG slice of one, as its vendor's tool names it. Memory in MiB. */
export interface GpuFact {
  /** Of the GPU: as nvidia-smi counts, or in the order in which ROCm numbers them. */
  readonly index: number;
  /** Of a MIG slice: its number on its GPU, and the memory of that. */
  readonly slice?: number;
  readonly ofMiB?: number;
  readonly uuid: string;
  readonly name: string;
  /** Absent where it is the machine's own memory, as in a GB10, or the tool does not tell. */
  readonly memoryMiB?: number;
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
  readonly rsync: boolean;
  /** What nodes with this home have in common. */
  readonly home: string;
  /** Versions of NVIDIA's driver and of the newest CUDA it runs. */
  readonly driver?: string;
  readonly cuda?: string;
  /** Seconds since 1970 by the node's own clock: to be shown, never to be reckoned with. */
  readonly clock?: number;
  /** The node's own address of the connection. */
  readonly ip: string;
  readonly gpus: readonly GpuFact[];
  /** GPU processes that no queue of ours started; `gpuUuid` as in `gpus`. */
  readonly foreign: readonly { readonly gpuUuid: string; readonly pid: number; readonly user: string }[];
  /** Devices that a queue of another user has, by lease. */
  readonly held: readonly { readonly lease: string; readonly user: string }[];
  /** What went wrong in the probe, e.g. a driver's words. */
  readonly trouble?: string;
}

/** Parses the probe's lines (`key value…`; see do_probe in sh/probe.sh). Those of GPUs are what the tools print, see gpuFacts.ts. */
export function parseFacts(lines: readonly string[]): NodeFacts {
  const single = new Map<string, string>();
  const rows = { gpu: [], mig: [], rocm: [], amd: [] } as Record<'gpu' | 'mig' | 'rocm' | 'amd', string[]>;
  const foreign: { gpuUuid: string; pid: number; user: string }[] = [];
  const held: { lease: string; user: string }[] = [];
  for (const line of lines) {
    const space = line.indexOf(' ');
    const key = space < 0 ? line : line.slice(0, space);
    const value = space < 0 ? '' : line.slice(space + 1);
    if (key === 'gpu' || key === 'mig' || key === 'rocm' || key === 'amd') {
      rows[key].push(value);
    } else if (key === 'foreign') {
      const [gpuUuid = '', pid = '', user = ''] = value.split(' ');
      foreign.push({ gpuUuid, pid: Number(pid), user });
    } else if (key === 'held') {
      const [lease = '', user = ''] = value.split(' ');
      held.push({ lease, user });
    } else {
      single.set(key, value);
    }
  }
  const host = single.get('host');
  if (host === undefined) throw new ProtocolError('the probe did not say which host it ran on');
  const gpus = gpusOf(rows);
  const trouble =
    single.get('trouble') ?? smiWords(rows.gpu) ?? single.get('amdtrouble') ?? amdWords(rows, gpus);
  const [driver, cuda] = single.get('driver')?.split(' ') ?? [];
  const clock = single.get('clock');
  return {
    host,
    os: single.get('os') ?? '',
    cpus: Number(single.get('cpus')) || 1,
    memoryMiB: Number(single.get('memory')) || 0,
    diskMiB: Number(single.get('disk')) || 0,
    bash: (single.get('bash') ?? '-') !== '-',
    flock: (single.get('flock') ?? '-') !== '-',
    rsync: (single.get('rsync') ?? '-') !== '-',
    home: single.get('home') ?? '',
    ...(driver === undefined ? {} : { driver }),
    ...(cuda === undefined ? {} : { cuda }),
    ...(clock === undefined ? {} : { clock: Number(clock) }),
    ip: single.get('ip') ?? '127.0.0.1',
    gpus,
    foreign,
    held,
    ...(trouble === undefined ? {} : { trouble }),
  };
}
