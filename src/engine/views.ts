import type { LaunchStep } from '../cluster';
import type { AtBoot } from '../node';
import type { JobRecord, NodeUsage, PendingReason } from '../queue';
import type { LinkState } from './nodeLink';

/** A cluster as the user interface shows it: plain data, a snapshot. */
export interface ClusterView {
  readonly name: string;
  readonly local: boolean;
  readonly nodes: readonly NodeView[];
  /** Numbers of jobs by what they do; ended ones are not counted. */
  readonly pending: number;
  /** Of the pending ones, those that start also while no client is on. */
  readonly staged: number;
  readonly running: number;
  /** Groups of which a job waits or runs, and large ones that were shown; absent for none. */
  readonly groups?: readonly GroupView[];
  /** How many of its jobs are in the archive; absent for none. */
  readonly archived?: number;
  /** A launch that is under way, or whose last step failed. */
  readonly launch?: LaunchStep;
}

/** Numbers of a group's jobs by what they do, and by how they ended; those that are missing from its size are archived. */
export interface GroupView {
  readonly id: number;
  readonly pending: number;
  readonly running: number;
  readonly succeeded: number;
  /** Also those that were lost. */
  readonly failed: number;
  readonly cancelled: number;
}

/** Which jobs a request is for: by number, or all that were submitted together with that one. */
export type JobsOf = readonly number[] | { readonly group: number };

export interface NodeView {
  readonly name: string;
  readonly destination?: string;
  readonly link: LinkState;
  /** Absent until the node was reached once. */
  readonly usage?: NodeUsage;
  readonly virtual: boolean;
  /** Absent until this engine has looked at it. */
  readonly about?: NodeAbout;
  /** Starts nothing new. */
  readonly draining?: true;
  /** It is the same machine as this node, which is used instead. */
  readonly twinOf?: string;
}

/** What the last look at a node found besides what jobs may use; for a person. */
export interface NodeAbout {
  readonly os: string;
  /** Free in the home. */
  readonly diskMiB: number;
  readonly driver?: string;
  readonly cuda?: string;
  /** What the tools that tell of GPUs say where they fail and none is found. */
  readonly gpuTrouble?: string;
  readonly rsync: boolean;
  /** Nodes of the cluster that have the same home. */
  readonly sharesHomeWith: readonly string[];
  /** How far the node's clock is ahead of ours, when by much; nothing is reckoned with it. */
  readonly clockAheadS?: number;
  /** `ssh2`, the system's `ssh`, or `local`; absent while it is not connected. */
  readonly way?: 'ssh2' | 'ssh' | 'local';
}

/** What a node has now that resumes its staged jobs at boot, or why that could not be changed; for a person. */
export type NodeAtBoot = { readonly node: string } & (
  { readonly way: AtBoot } | { readonly trouble: string }
);

/** A job as the user interface shows it. */
export interface JobView {
  readonly record: JobRecord;
  /** Why it does not run yet, while it waits for its turn or for its files. */
  readonly reason?: PendingReason;
  /** The job is in the archive. */
  readonly archived?: true;
}

/** What changed; clusters whose nodes, totals or pending reasons may differ, and jobs by cluster and id. */
export interface QueueChange {
  readonly clusters: ReadonlySet<string>;
  readonly jobs: readonly JobRecord[];
  /** Jobs that went to the archive. */
  readonly archived?: readonly JobRecord[];
}

/** A `file_mounts` source and where it goes on nodes. */
export interface Mount {
  /** Absolute path, or an address that nodes fetch themselves. */
  readonly source: string;
  readonly destination: string;
}

/** On which nodes a mount is put. */
export interface MountOptions {
  /** Only on those that do not have it as it is now. */
  readonly missing?: boolean;
  /** This was asked for already, of a process that is gone: what it has begun is not begun anew. */
  readonly again?: boolean;
}

/** A mount that nodes do not have as it is now. */
export interface StaleMount extends Mount {
  readonly nodes: readonly string[];
  /** False when none of them ever got it. */
  readonly placed: boolean;
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
  /** Absolute path of the task file. */
  readonly file?: string;
  /** Absolute folders that relative paths of the task are looked for in, in this order; the task file's unless given. */
  readonly folders?: readonly string[];
  /** Identity of the job, made by who asks: a request sent again under it queues nothing a second time. */
  readonly uuid?: string;
  /** Numbers of jobs of the cluster that must have succeeded before this one starts. */
  readonly after?: readonly number[];
  /** Seconds after which a try is ended; whole, from 1. */
  readonly timeoutS?: number;
  /** How often it is run again after an exit code other than 0; the task's own number unless given. */
  readonly retries?: number;
  /** `setup`: the job prepares the nodes; it asks for no GPU, and fails as FAILED_SETUP. */
  readonly phase?: 'setup';
  /** The number of the setup that it is launched with. */
  readonly setup?: number;
  /** Of a setup: index of the one of the task's alternatives that its nodes were chosen by; the first unless given. */
  readonly alternative?: number;
}
