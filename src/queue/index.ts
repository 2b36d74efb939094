export * from './job';
export * from './jobRecord';
export { Scheduler, type Start } from './scheduler';
export type { SchedulerJob } from './ordered';
export type { NodeAvailability, SchedulerDevice, SchedulerNode } from './node';
export type { Missing, PendingReason } from './reason';
export type { Amount, ClusterTotals, DeviceUsage, NodeUsage } from './usage';
export { age, duration } from './age';
export { placementText, renderQueue, type QueueCell, type QueueTableOptions } from './table';
