export type { ClusterElement, Element, JobElement, MoreElement, NodeElement } from './elements';
export { clusterSummary } from './elements';
export { LogChannels } from './logChannels';
export { showStatus } from './status';
export { QueueTree } from './tree';
