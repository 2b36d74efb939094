export * from './definition';
export { canonicalGpuName } from './gpuNames';
