import type { JobRecord, NodeUsage, PendingReason } from '../queue';
import type { LinkState } from './nodeLink';

/** A cluster as the user interface shows it: plain data, a snapshot. */
export interface ClusterView {
  readonly name: string;
  readonly local: boolean;
  readonly nodes: readonly NodeView[];
  /** Numbers of jobs by what they do; ended ones are not counted. */
  readonly pending: number;
  readonly running: number;
}

export interface NodeView {
  readonly name: string;
  readonly destination?: string;
  readonly link: LinkState;
  /** Absent until the node was reached once. */
  readonly usage?: NodeUsage;
  readonly virtual: boolean;
}

/** A job as the user interface shows it. */
export interface JobView {
  readonly record: JobRecord;
  /** For a pending job: why it waits. */
  readonly reason?: PendingReason;
}

/** What changed; clusters whose nodes, totals or pending reasons may differ, and jobs by cluster and id. */
export interface QueueChange {
  readonly clusters: ReadonlySet<string>;
  readonly jobs: readonly JobRecord[];
}

/** A change of a waiting job's place in the queue. */
export interface Reorder {
  /** Stays in the queue until it is false again. */
  readonly held?: boolean;
  /** Greater starts earlier. */
  readonly priority?: number;
  /** `first`: before all others; `up`: one place earlier; a job's number: just before that one. */
  readonly move?: 'first' | 'up' | number;
}

/** What a user asks the queue for, besides the task itself. */
export interface SubmitOptions {
  readonly cluster: string;
  readonly user: string;
  /** Absolute path of the task file; relative paths in it are taken from its folder. */
  readonly file?: string;
  /** Identity of the job, made by who asks: a request sent again under it queues nothing a second time. */
  readonly uuid?: string;
  /** Numbers of jobs of the cluster that must have succeeded before this one starts. */
  readonly after?: readonly number[];
  /** `setup`: the job prepares the nodes; it asks for no GPU, and fails as FAILED_SETUP. */
  readonly phase?: 'setup';
}
