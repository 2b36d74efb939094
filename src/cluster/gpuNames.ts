/** Names as written with their memory, such as `A100-80GB`, taken apart. */
const MEMORY_SUFFIX = /^(.+?)-(\d+)gb(-.+)?$/;

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
  if (reportedMiB === undefined) return false;
  if (reportedMiB < wanted.amount * LEAST_OF_ADVERTISED) return false;
  return wanted.atLeast || reportedMiB <= wanted.amount * MOST_OF_ADVERTISED;
}

/**
 * Whether a device answers a request by name. Case does not matter; a request without memory (`A100`) takes any
 * memory (`A100-80GB`); one with memory takes that name, or the plain name when the device reports that size.
 */
export function gpuNameMatches(requested: string, device: string, memoryMiB?: number): boolean {
  const want = requested.toLowerCase();
  const have = device.toLowerCase();
  if (want === have) return true;
  const haveParts = MEMORY_SUFFIX.exec(have);
  if (haveParts?.[1] === want) return true;
  const wantParts = MEMORY_SUFFIX.exec(want);
  if (wantParts?.[1] !== have || wantParts[3] !== undefined) return false;
  return gpuMemoryMatches({ amount: Number(wantParts[2]) * 1024, atLeast: false }, memoryMiB);
}
