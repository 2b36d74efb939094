import type { ClusterDefinition, LaunchStep, NodeDefinition, NodesChange } from '../cluster';
import type {
  ClusterView,
  EngineOptions,
  JobsOf,
  FetchRequest,
  FetchWatcher,
  JobView,
  LogAppend,
  Mount,
  MountOptions,
  NodeAtBoot,
  QueueChange,
  Received,
  Reorder,
  StaleMount,
  SubmitOptions,
  Unsubscribe,
} from '../engine';
import type { JobRecord } from '../queue';
import type { RepairReport } from '../store';
import type { Task, Variant } from '../task';

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
  /** As `job`, but waits for one that is not known here, and finds it in the archive too. */
  find(cluster: string, id: number): Promise<JobView>;
  /** Archived jobs of a cluster, newest first. @throws StoreError when the archive cannot be read */
  archived(cluster: string, limit: number): Promise<JobView[]>;

  /** @throws QueueError `bad-name`, `cluster-exists` */
  addCluster(definition: ClusterDefinition): Promise<void>;
  /** Makes sure that a cluster which is this machine itself exists, with these declared GPUs where none are found. */
  defineLocal(name: string, virtual: NodeDefinition['virtual']): Promise<void>;
  /**
   * Adds, removes and drains nodes; what was staged on one that is drained and can be reached is here again when it resolves.
   * @throws QueueError `cluster-busy` while a job is on a node that is to go, `refused` when none would be left
   */
  changeNodes(cluster: string, change: NodesChange): Promise<void>;
  /** @throws QueueError `cluster-busy` while jobs are alive */
  removeCluster(name: string): Promise<void>;
  /**
   * Queues a task; resolves once it is on disk.
   * @throws QueueError `refused`, `missing-values`, `workdir`, `no-cluster`; StoreError when the disk says no
   */
  submit(task: Task, options: SubmitOptions): Promise<JobRecord>;
  /** Queues a task once for each variant, all or none, as one group; resolves to its first job. @throws as `submit` */
  submitGroup(task: Task, variants: readonly Variant[], options: SubmitOptions): Promise<JobRecord>;
  /** Queues a job once more, as it was. @throws as `submit` */
  runAgain(cluster: string, id: number, user: string): Promise<JobRecord>;
  /** Begins to cancel jobs and returns those that were alive; those that wait are cancelled when it resolves. */
  cancel(cluster: string, ids: JobsOf | 'all'): Promise<JobRecord[]>;
  /** Connects to a cluster's nodes, without waiting. */
  connect(cluster: string): void;
  /** Looks at every node of a cluster afresh. */
  refresh(cluster: string): Promise<void>;
  /**
   * Changes a waiting job's place in the queue, or holds it; resolves when the nodes that can be reached go by that: one that
   * cannot may start a job that was staged there all the same. @throws QueueError `not-waiting`, `no-job`
   */
  reorder(cluster: string, id: number | { readonly group: number }, change: Reorder): Promise<void>;
  /**
   * Puts a file or folder on every node that can be reached, or with `missing` on those that do not have it as it is now.
   * @throws QueueError `workdir`; Error with a node's words
   */
  mount(cluster: string, mount: Mount, options?: MountOptions): Promise<void>;
  /** Those mounts that nodes do not have as they are now; what cannot be read is passed over. */
  staleMounts(cluster: string, mounts: readonly Mount[]): Promise<StaleMount[]>;
  /**
   * Has every node of a cluster resume what waits there when its machine has started, also with no client; or not any more.
   * Says of each node what came of it. @throws QueueError `no-cluster`
   */
  resumeAtBoot(cluster: string, on: boolean): Promise<NodeAtBoot[]>;
  /** Notes which step of a launch is under way or failed; undefined: it is done. */
  noteLaunch(cluster: string, step: LaunchStep | undefined): Promise<void>;
  /**
   * Downloads files from a job's working directory, while it runs or after it ended; progress comes a few times a second.
   * @throws QueueError `outputs` that names the node and says why, `no-job`; Error when the signal ended it
   */
  fetch(request: FetchRequest, watcher: FetchWatcher): Promise<Received>;

  /** Each caller calls `release` once. @throws QueueError `no-job` */
  log(cluster: string, id: number): { readonly mirror: QueueLog; readonly release: () => void };
  /** Where a job's log is, or will be, also when the job is archived. */
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
