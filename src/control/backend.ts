import type { ClusterDefinition } from '../cluster';
import type { ClusterView, JobView, QueueChange, Unsubscribe } from '../engine';
import type { CallName, Grown, Params, Result } from './protocol';

/** Where the engine is, as seen from this process: in it, or behind a socket. */
export interface Backend {
  readonly role: 'host' | 'client';
  views(): ClusterView[];
  view(name: string): ClusterView | undefined;
  definition(name: string): ClusterDefinition;
  jobs(cluster: string, limit: number): JobView[];
  job(cluster: string, id: number): JobView;
  readonly busy: boolean;
  readonly onDidChange: (listener: (change: QueueChange) => void) => Unsubscribe;
  readonly onTrouble: (listener: (error: Error) => void) => Unsubscribe;
  /** Asks the engine. @throws LostError when the other process went before it answered; else as the engine */
  call<M extends CallName>(method: M, params: Params<M>): Promise<Result<M>>;
  /** Has the log of a job mirrored, and is told how far its file has grown. */
  follow(cluster: string, id: number, grown: (to: Omit<Grown, 'log'>) => void): () => void;
  close(): Promise<void>;
}

/** The process that had the engine went; whether it did what was asked is not known. */
export class LostError extends Error {
  constructor() {
    super('the process that had the queue has ended');
  }
}
