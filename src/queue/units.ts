/**
 * Amounts as integers. Taking and giving back decimals such as 0.1 drifts in floating point, and a device that drifted
 * to 0.9999 free would never be whole again.
 */

/** The share of one device that is all of it. */
export const WHOLE = 1_000_000_000;

/** GPU count to share units: whole devices as multiples of WHOLE, a fraction below 1 rounded down (three thirds fit). */
export function shareUnits(count: number): number {
  return count >= 1 ? Math.ceil(count) * WHOLE : Math.max(1, Math.floor(count * WHOLE + 1e-3));
}

/** CPUs to thousandths of one. */
export function cpuUnits(cpus: number): number {
  return Math.round(cpus * 1000);
}

/** MiB to KiB. */
export function memoryUnits(mib: number): number {
  return Math.round(mib * 1024);
}
