export type { JobPatch, MutableField, StoredCluster } from './changes';
export {
  StoreClosedError,
  StoreConflictError,
  StoreCorruptError,
  StoreError,
  StoreLockedError,
  StoreReadError,
  StoreVersionError,
  StoreWriteError,
} from './errors';
export { acquire, ownerOf, type Lock } from './lock';
export { makeFolder } from './makeFolder';
export { moveOver } from './moveOver';
export type { RepairReport } from './recovery';
export { loadSqlEngine, type SqlEngine } from './sqlEngine';
export { Store, type ArchiveLimits, type StoreOptions } from './store';
export type { Urgency } from './writeQueue';
