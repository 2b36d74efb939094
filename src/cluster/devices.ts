import type { DeviceInventory } from './definition';

// No machine has so many GPUs, nor a pool so many declared ones.
const SLICES_FROM = 1000;

/** The number of a MIG slice among its node's devices; `gpu` and `slice` as `nvidia-smi -L` counts them, from 0. */
export function sliceIndex(gpu: number, slice: number): number {
  return (gpu + 1) * SLICES_FROM + slice;
}

/** The GPU that a device is, or that it is a slice of; by index. */
export function gpuOfDevice(index: number): number {
  return index < SLICES_FROM ? index : Math.floor(index / SLICES_FROM) - 1;
}

/** How a device is called: `3`, or `0:1` for slice 1 of GPU 0, as NVIDIA's container toolkit writes it. */
export function deviceLabel(index: number): string {
  return index < SLICES_FROM ? String(index) : `${gpuOfDevice(index)}:${index % SLICES_FROM}`;
}

/** What CUDA_VISIBLE_DEVICES holds for a device: its index, or the uuid of a MIG slice, which no index can name. */
export function visibleDevice({ index, lease }: Pick<DeviceInventory, 'index' | 'lease'>): string {
  return index < SLICES_FROM ? String(index) : lease.replaceAll('+', '/');
}

/** The identity that a device's lease goes by. Drivers before 470 call slices `MIG-GPU-…/1/0`, and a lease is a file. */
export function leaseOf(uuid: string): string {
  return uuid.replaceAll('/', '+');
}

/** What begins the leases of AMD's GPUs, before the number that the kernel gives them. */
export const AMD_LEASE = 'AMD-';
