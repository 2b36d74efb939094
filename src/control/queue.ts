import type { ClusterDefinition, NodeDefinition } from '../cluster';
import type {
  ClusterView,
  EngineOptions,
  JobView,
  LogAppend,
  QueueChange,
  Reorder,
  SubmitOptions,
  Unsubscribe,
} from '../engine';
import type { JobRecord } from '../queue';
import type { RepairReport } from '../store';
import type { Task } from '../task';

/** Who opens the queue. */
export interface QueueOptions extends EngineOptions {
  /** Processes of different versions do not share a queue: one says so to its user instead of guessing. */
  readonly version: string;
}

/** A job's log as a local file that grows while it is held. */
export interface QueueLog {
  readonly file: string;
  /** True when every rank's log is complete in the file. */
  readonly complete: boolean;
  /** New bytes at the end of the file. What came before the listener is in the file. */
  onAppend(listener: (append: LogAppend) => void): Unsubscribe;
  /** The log is complete in the file. */
  onEnd(listener: () => void): Unsubscribe;
}

/** `host`: the engine runs in this process; `client`: in another; `away`: the other went, and its successor is awaited. */
export type QueueRole = 'host' | 'client' | 'away';

/**
 * The user's one queue, wherever its engine runs. Reads are answered at once from what is known here; what is asked for is
 * answered when it is done, by whichever process has the engine then.
 */
export interface Queue {
  /** All clusters, in the order in which they were added. */
  views(): ClusterView[];
  view(name: string): ClusterView | undefined;
  /** @throws QueueError `no-cluster` */
  definition(name: string): ClusterDefinition;
  /**
   * The newest jobs of a cluster, newest first. When older ones are wanted than this process knows, they are asked for, and
   * `onDidChange` says when they are there. @throws QueueError `no-cluster`
   */
  jobs(cluster: string, limit?: number): JobView[];
  /** A job this process knows. @throws QueueError `no-cluster`, `no-job` */
  job(cluster: string, id: number): JobView;

  /** As `jobs`, but waits for those that are not known here, and does not keep them. */
  list(cluster: string, limit: number): Promise<JobView[]>;
  /** As `job`, but waits for one that is not known here. */
  find(cluster: string, id: number): Promise<JobView>;

  /** @throws QueueError `bad-name`, `cluster-exists` */
  addCluster(definition: ClusterDefinition): Promise<void>;
  /** Makes sure that a cluster which is this machine itself exists, with these declared GPUs where none are found. */
  defineLocal(name: string, virtual: NodeDefinition['virtual']): Promise<void>;
  /** @throws QueueError `cluster-busy` while jobs are alive */
  removeCluster(name: string): Promise<void>;
  /**
   * Queues a task; resolves once it is on disk.
   * @throws QueueError `refused`, `missing-values`, `workdir`, `no-cluster`; StoreError when the disk says no
   */
  submit(task: Task, options: SubmitOptions): Promise<JobRecord>;
  /** Queues a job once more, as it was. @throws as `submit` */
  runAgain(cluster: string, id: number, user: string): Promise<JobRecord>;
  /** Begins to cancel jobs and returns those that were alive; those that wait are cancelled when it resolves. */
  cancel(cluster: string, ids: readonly number[] | 'all'): Promise<JobRecord[]>;
  /** Connects to a cluster's nodes, without waiting. */
  connect(cluster: string): void;
  /** Looks at every node of a cluster afresh. */
  refresh(cluster: string): Promise<void>;
  /** Changes a waiting job's place in the queue, or holds it. @throws QueueError `not-waiting`, `no-job` */
  reorder(cluster: string, id: number, change: Reorder): Promise<void>;
  /** Puts a local file or folder on every node that can be reached. @throws QueueError `workdir`; Error with a node's words */
  mount(cluster: string, source: string, destination: string): Promise<void>;

  /** Each caller calls `release` once. @throws QueueError `no-job` */
  log(cluster: string, id: number): { readonly mirror: QueueLog; readonly release: () => void };
  logFile(record: JobRecord): string;

  /** True while a job waits or runs anywhere. */
  readonly busy: boolean;
  readonly role: QueueRole;
  /** Set when this process has the engine and its store had to be repaired. */
  readonly repair: RepairReport | undefined;
  /** Changes, gathered. */
  onDidChange(listener: (change: QueueChange) => void): Unsubscribe;
  /** What went wrong where nobody waited for an answer. */
  onTrouble(listener: (error: Error) => void): Unsubscribe;
  /** Lets go of the queue. Jobs go on; if this process had the engine, another takes over. */
  close(): Promise<void>;
}
