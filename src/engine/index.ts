export { Engine, type EngineOptions } from './engine';
export { QueueError } from './errors';
export type { LinkState } from './nodeLink';
export type { LogAppend, LogMirror } from './logMirror';
export type * from './views';
