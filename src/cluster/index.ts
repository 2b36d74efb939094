export * from './definition';
export { canonicalGpuName } from './gpuNames';
export { parsePools, type Pool, type PoolHost } from './pools';
