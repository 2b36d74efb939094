export { deviceLabel } from '../cluster/devices';
export * from './job';
export * from './jobRecord';
export { compileNeed, type Need } from './demand';
export { deviceAccepts } from './nodeTable';
export { Scheduler, type Start } from './scheduler';
export { cpuUnits, memoryUnits } from './units';
export {
  afterName,
  amount,
  bytesWords,
  cpuWords,
  demandWords,
  deviceWords,
  filesWords,
  jobsWords,
  lacksWords,
  queueWords,
  unattendedWords,
} from './words';
export type { SchedulerJob } from './ordered';
export type { NodeAvailability, SchedulerDevice, SchedulerNode } from './node';
export type { Missing, PendingReason } from './reason';
export type { Amount, ClusterTotals, DeviceUsage, NodeUsage } from './usage';
export { age, duration, roughAge, roughDuration, timeLimitText, type Rough } from './age';
export { placementText, renderQueue, type QueueCell, type QueueTableOptions } from './table';
