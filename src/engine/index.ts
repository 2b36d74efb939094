export { demandOf } from './demand';
export { Engine, type EngineOptions } from './engine';
export { Emitter, type Unsubscribe } from './emitter';
export { QueueError } from './errors';
export { logFileOf } from './logMirror';
export { localPath } from './localPath';
export type { LinkState } from './nodeLink';
export type { LogAppend, LogMirror } from './logMirror';
export type * from './views';
