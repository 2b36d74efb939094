import type { GpuFact } from './facts';

/** What the tools on a node printed, line by line. */
export interface GpuRows {
  /** CSV of `nvidia-smi --query-gpu=index,uuid,memory.total,memory.used,name --format=csv,noheader,nounits`; then `exit code N` if it failed. */
  readonly gpu: readonly string[];
  /** `GPU MODE` of its `index,mig.mode.current`, and the lines of `nvidia-smi -L`; nothing where no GPU has MIG. */
  readonly mig: readonly string[];
  /** CSV of `rocm-smi --showproductname --showuniqueid --showmeminfo vram --csv`. */
  readonly rocm: readonly string[];
  /** CSV of `amd-smi list --csv`, and of `amd-smi static --asic --vram --csv`. */
  readonly amd: readonly string[];
}

/** The GPUs of a node, in the order of their numbers. A GPU in MIG mode is there by its slices only. */
export function gpusOf({ gpu, mig, rocm, amd }: GpuRows): GpuFact[] {
  const nvidia = sliced(
    gpu.flatMap((row) => parseGpu(row) ?? []),
    mig,
  );
  const others = rocm.length > 0 ? ofRocmSmi(rocm) : ofAmdSmi(amd);
  // Both vendors count from 0, and a job could not tell which it was given.
  const gpus = nvidia.length > 0 ? nvidia : others;
  return gpus.sort((a, b) => a.index - b.index || (a.slice ?? 0) - (b.slice ?? 0));
}

/** What nvidia-smi said instead of a GPU: some of its errors it prints among the rows, and the last row is its exit code. */
export function smiWords(rows: readonly string[]): string | undefined {
  const words = rows.find((row) => row.trim() !== '' && !parseGpu(row));
  return words === undefined ? undefined : `nvidia-smi: ${words}`;
}

/** What a tool of AMD printed that looks like GPUs, and is none. */
export function amdWords({ rocm, amd }: GpuRows, found: readonly GpuFact[]): string | undefined {
  const [row] = rocm.length > 0 ? rocm : amd;
  if (found.length > 0 || row === undefined) return undefined;
  return `${rocm.length > 0 ? 'rocm' : 'amd'}-smi cannot be read: ${row}`;
}

/** The name comes last since it alone may hold a comma. A broken GPU's row (`[Unknown Error]`) is no GPU. */
function parseGpu(row: string): GpuFact | undefined {
  const match = /^\s*(\d+),\s*([^,\s]+),\s*(\d+|\[N\/A\]|\[Not Supported\]),\s*[^,]+,\s*(.+?)\s*$/.exec(row);
  if (!match) return undefined;
  const [, index, uuid, total, name] = match;
  if (uuid === undefined || name === undefined) return undefined;
  return { index: Number(index), uuid, name, ...memory(number(total)) };
}

function sliced(gpus: readonly GpuFact[], lines: readonly string[]): GpuFact[] {
  const inMode = new Set<number>();
  const slices: GpuFact[] = [];
  let parent: GpuFact | undefined;
  for (const line of lines) {
    const mode = /^(\d+), *Enabled/.exec(line)?.[1];
    if (mode !== undefined) inMode.add(Number(mode));
    const header = /^GPU (\d+):/.exec(line)?.[1];
    if (header !== undefined) parent = gpus.find(({ index }) => index === Number(header));
    // `  MIG 3g.20gb     Device  0: (UUID: MIG-5f6a…)`
    const [, profile, slice, uuid] =
      /^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[^)\s]+)\)/.exec(line) ?? [];
    const size = /\dg\.(\d+)gb/.exec(profile ?? '')?.[1];
    if (!parent || uuid === undefined || size === undefined) continue;
    const { index, name, memoryMiB: ofMiB = 0 } = parent;
    // What the profile promises: the tool reports a little less.
    const memoryMiB = Number(size) * 1024;
    slices.push({
      index,
      slice: Number(slice),
      uuid,
      name: `${name} MIG ${profile ?? ''}`,
      memoryMiB,
      ofMiB,
    });
  }
  return [...gpus.filter(({ index }) => !inMode.has(index)), ...slices];
}

/**
 * Columns are found by name, and names without regard to case: `Card series` became `Card Series`. Before the header there
 * may be warnings. `GUID` is the number that the kernel gives a GPU, and `Node ID` the order in which ROCm counts them.
 */
function ofRocmSmi(lines: readonly string[]): GpuFact[] {
  const cards = table(lines, 'device').map((row, order) => {
    const names = [row.get('card series'), row.get('card model'), row.get('device name')];
    return {
      order: number(row.get('node id')) ?? order,
      id: row.get('guid') ?? row.get('unique id') ?? row.get('device'),
      name: names.find((name) => name !== undefined && !/^(0x|N\/A$|$)/i.test(name)),
      memoryMiB: mebibytes(row.get('vram total memory (b)'), 'B'),
    };
  });
  return amdGpus(cards);
}

function ofAmdSmi(lines: readonly string[]): GpuFact[] {
  const about = new Map(table(lines, 'gpu', 'market_name').map((row) => [row.get('gpu'), row]));
  const cards = table(lines, 'gpu', 'gpu_uuid').map((row, order) => {
    const more = about.get(row.get('gpu'));
    return {
      order: number(row.get('node_id')) ?? order,
      id: row.get('kfd_id') ?? row.get('gpu_uuid'),
      name: more?.get('market_name'),
      memoryMiB: mebibytes(more?.get('size'), 'MB'),
    };
  });
  return amdGpus(cards);
}

interface AmdCard {
  readonly order: number;
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly memoryMiB: number | undefined;
}

function amdGpus(cards: readonly AmdCard[]): GpuFact[] {
  return [...cards]
    .sort((a, b) => a.order - b.order)
    .map(({ id, name, memoryMiB }, index) => ({
      index,
      uuid: `AMD-${id ?? index}`,
      name: name ?? 'AMD GPU',
      ...memory(memoryMiB),
    }));
}

function memory(memoryMiB: number | undefined): { readonly memoryMiB?: number } {
  return memoryMiB === undefined ? {} : { memoryMiB };
}

/** The rows of the CSV table whose header begins with `first` and has `with`, by column in lower case. */
function table(lines: readonly string[], first: string, having = first): Map<string, string>[] {
  const rows: Map<string, string>[] = [];
  let header: string[] | undefined;
  for (const line of lines) {
    const cells = fields(line);
    const names = cells.map((cell) => cell.toLowerCase());
    if (names[0] === first) header = names.includes(having) ? names : undefined;
    else if (header && cells.length === header.length) {
      const columns = header;
      rows.push(new Map(cells.map((cell, column) => [columns[column] ?? '', cell])));
    }
  }
  return rows;
}

/** One line of CSV; a field in quotes may hold commas. */
function fields(line: string): string[] {
  const found = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...found].map(([, quoted, plain]) => (quoted?.replaceAll('""', '"') ?? plain ?? '').trim());
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Of `206141652992`, `196592` or `196592 MB`. */
function mebibytes(text: string | undefined, unit: 'B' | 'MB'): number | undefined {
  const [, digits, given = unit] = /^(\d+)\s*([KMG]?B)?$/i.exec(text ?? '') ?? [];
  if (digits === undefined) return undefined;
  const per = { B: 1 / (1024 * 1024), KB: 1 / 1024, MB: 1, GB: 1024 }[given.toUpperCase()] ?? 0;
  return Math.round(Number(digits) * per);
}
