export * from './definition';
export { AMD_LEASE, deviceLabel, gpuOfDevice, leaseOf, sliceIndex, visibleDevice } from './devices';
export { canonicalGpuName, isSlice, sliceMemoryMiB } from './gpuNames';
export { completePools, poolFieldHelp, type PoolCompletion } from './poolAssist';
export { nodesOfPool, passwordOf } from './poolNodes';
export { parseVirtualGpus } from './virtualGpus';
export { parsePools, type Pool, type PoolHost } from './pools';
