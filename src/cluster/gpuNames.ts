/** A device name's parts: `A100-80GB-SXM` is A100, 80, SXM. Only memory and form factor may be left out by a request. */
const PARTS = /^(?<model>.+?)(?:-(?<size>\d+)gb)?(?:-(?:sxm\d?|pcie|nvl|mega))?$/;

/** The profile of a MIG slice: `3g.20gb`, `1g.10gb+me`, or with compute instances `1c.3g.20gb`. */
const PROFILE = /(?:\d+c\.)?\d+g\.(\d+)gb(?:[+-](?:me|gfx)(?:\.all)?)*/;

/**
 * A slice by any of its names, in lower case: `a100-mig-3g.20gb` (ours), `3g.20gb`, `mig-3g.20gb`, Kubernetes'
 * `nvidia.com/mig-3g.20gb` and `a100-sxm4-40gb-mig-3g.20gb`, Slurm's `a100_3g.20gb`.
 */
const SLICE = new RegExp(`^(?:nvidia\\.com/)?(?<gpu>.*?)[-_ ]?(?:mig[-_ ])?(?<profile>${PROFILE.source})$`);

/**
 * A card sold as "16 GB" reports between 15,079 MiB (T4, where ECC takes its part) and 16,384; an 11 GB card, sold
 * beside one of 12 GB, has 0.917 of the latter. Anything from 0.92 of the advertised size is that size.
 */
const LEAST_OF_ADVERTISED = 0.92;
const MOST_OF_ADVERTISED = 1.03;

/** Whether a device that reports so much memory answers a request for an advertised size (GB × 1024 = MiB). */
export function gpuMemoryMatches(
  wanted: { readonly amount: number; readonly atLeast: boolean },
  reportedMiB: number | undefined,
): boolean {
  if (reportedMiB === undefined || reportedMiB < wanted.amount * LEAST_OF_ADVERTISED) return false;
  return wanted.atLeast || reportedMiB <= wanted.amount * MOST_OF_ADVERTISED;
}

/** Whether a name is that of a MIG slice, on a node or in a request. */
export function isSlice(name: string): boolean {
  return SLICE.test(name.toLowerCase());
}

/** The memory that a slice's profile promises, in MiB: what nvidia-smi reports is a little less. */
export function sliceMemoryMiB(profile: string): number | undefined {
  const size = PROFILE.exec(profile.toLowerCase())?.[1];
  return size === undefined ? undefined : Number(size) * 1024;
}

/**
 * Whether a device answers a request by name. Case does not matter; a request without memory (`A100`) takes any
 * memory (`A100-80GB`); one with memory takes that name, or the plain name when the device reports that size. A MIG
 * slice is no A100: it is asked for by its profile, with or without the GPU it is of.
 */
export function gpuNameMatches(requested: string, device: string, memoryMiB?: number): boolean {
  const want = requested.toLowerCase();
  const have = device.toLowerCase();
  if (want === have) return true;
  const wantSlice = SLICE.exec(want)?.groups;
  const haveSlice = SLICE.exec(have)?.groups;
  if (!wantSlice && !haveSlice) return wholeMatches(want, have, memoryMiB);
  if (wantSlice?.profile === undefined || wantSlice.profile !== haveSlice?.profile) return false;
  if (!wantSlice.gpu || haveSlice.gpu === undefined) return true;
  // Kubernetes names the form factor before the memory.
  const gpu = canonicalGpuName(wantSlice.gpu).toLowerCase();
  return gpu === haveSlice.gpu || wholeMatches(wantSlice.gpu, haveSlice.gpu, defaultMemoryMiB(haveSlice.gpu));
}

function wholeMatches(want: string, have: string, memoryMiB?: number): boolean {
  const haveParts = PARTS.exec(have)?.groups;
  const wantParts = PARTS.exec(want)?.groups;
  if (haveParts?.model === want) return true;
  if (wantParts?.size === undefined || wantParts.model !== haveParts?.model) return false;
  // `A100-80GB` names no form factor, so it takes `A100-80GB-SXM`; the other way round it doesn't.
  if (want !== `${wantParts.model ?? ''}-${wantParts.size}gb`) return false;
  if (haveParts?.size !== undefined) return haveParts.size === wantParts.size;
  return gpuMemoryMatches({ amount: Number(wantParts.size) * 1024, atLeast: false }, memoryMiB);
}

/** Models sold in several sizes (GB). The first is the one that SkyPilot's catalog calls by the bare name. */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  V100: [16, 32],
  A100: [40, 64, 80],
  A800: [40, 80],
  P100: [16, 12],
  M40: [12, 24],
};

/** From marketing name, without vendor and brand, to catalog name; the first rule that matches decides. */
const RULES: readonly (readonly [RegExp, string])[] = [
  // V100S, and V100 in DGX Station and half-height cards, run what a V100 runs.
  [/^(V100|A100|A800|P100|M40)S?\b.*$/i, '$1'],
  [/^(H100|H200|H800)[ -]?NVL.*$/i, '$1-NVL'],
  [/^(GB300|GB200|GH200|B300|B200|B100|H100|H200|H800|H20|GB10)\b.*$/i, '$1'],
  [/^(K40|K20)[a-z]*$/i, '$1'],
  [/^T4G$/i, 'T4g'],
  [/^RTX (A\d{3,4})\b(.*)$/i, '$1$2'],
  [/^RTX (\d{4})(?: SFF)? Ada Generation(.*)$/i, 'RTX$1-Ada$2'],
  [/^RTX PRO (\d{4}) Blackwell.*$/i, 'RTXPRO$1'],
  [/^(?:Radeon )?(?:AI )?(?:Pro )?([WR]\d{4}X?|V\d{3}|VII)$/i, '$1'],
  [/^(?:Radeon )?RX (.*)$/i, 'RX$1'],
  // `MI250X / MI250`, `MI250 (MCM) OAM AC MBA`; older tools have the chip's name before, `Arcturus GL-XL [Instinct MI100]`.
  [/^(?:.*\[Instinct )?(MI\d{2,3}[AX]?)\b.*$/i, '$1'],
];

const BRANDS =
  /^(?:(?:NVIDIA|Tesla|GeForce|Quadro(?= (?:RTX|P\d|GP|GV|K\d|M\d|T\d))|GRID|AMD|Instinct)[ -]+)+/i;
const MIG = new RegExp(`\\s*-?MIG[ -](${PROFILE.source})`, 'i');

/**
 * The name by which SkyPilot's catalog, and so a task file, calls a GPU, from the name that nvidia-smi (or rocm-smi)
 * gives it: `Tesla V100-SXM2-32GB` is `V100-32GB`. What no rule knows keeps its model name, without spaces. Of a MIG slice
 * the memory is its GPU's.
 */
export function canonicalGpuName(marketing: string, memoryMiB?: number): string {
  const slice = MIG.exec(marketing)?.[1];
  if (slice !== undefined) {
    return `${canonicalGpuName(marketing.replace(MIG, ''), memoryMiB)}-MIG-${slice.toLowerCase()}`;
  }
  const bare = marketing.trim().replace(BRANDS, '').trim();
  const model = canonicalModel(bare);
  const size = advertisedSize(model, bare, memoryMiB);
  return size === undefined || size === SIZES[model]?.[0] ? model : `${model}-${size}GB`;
}

function canonicalModel(bare: string): string {
  for (const [pattern, name] of RULES) {
    if (!pattern.test(bare)) continue;
    // A name in another case (from a hand-written file) is still the same card.
    const model = squeeze(bare.replace(pattern, name));
    return /^[a-z]{1,2}\d+[a-z]?$/i.test(model) && model !== 'T4g' ? model.toUpperCase() : model;
  }
  return squeeze(bare);
}

/** Catalogs write such names without spaces: `RTX4070TiSUPER`. */
function squeeze(name: string): string {
  return name
    .replace(/ Laptop GPU$/i, '-Laptop')
    .replace(/ with Max-Q Design$/i, '-MaxQ')
    .replace(/\s+/g, '');
}

/** What a card has that is called by its bare name only. */
function defaultMemoryMiB(name: string): number | undefined {
  const size = SIZES[name.toUpperCase()]?.[0];
  return size === undefined ? undefined : size * 1024;
}

function advertisedSize(model: string, bare: string, memoryMiB: number | undefined): number | undefined {
  const sizes = SIZES[model];
  if (!sizes) return undefined;
  const named = /(\d+) ?GB\b/i.exec(bare)?.[1];
  if (named !== undefined) return Number(named);
  return sizes.find((size) => gpuMemoryMatches({ amount: size * 1024, atLeast: false }, memoryMiB));
}
