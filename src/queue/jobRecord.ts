import type { JobDemand, JobStatus, Placement } from './job';

/** What a job runs; never changes after submit. Secrets are not here (see `JobRecord.sealedSecrets`). */
export interface JobSpec {
  /** Bash text; undefined for a task without `run`, which succeeds at once. */
  readonly run?: string;
  readonly envs: Readonly<Record<string, string>>;
  /** Absolute local path of the task file, when the job came from one. */
  readonly file?: string;
  /** Absolute local folder to sync, or the address of the repository to check out, when the task has one. */
  readonly workdir?: string;
  /** The workdir is a git repository: which branch, tag or commit was asked for, and which commit that was at submit. */
  readonly git?: { readonly ref?: string; readonly commit?: string };
  /** `setup`: prepares the nodes of a cluster, without GPUs; it fails as FAILED_SETUP. */
  readonly phase?: 'setup';
  /** Of a setup: GPUs per node that its task asks for, whole; it takes none of them itself. */
  readonly taskGpus?: number;
  /** Hash of the workdir's content at submit; the job runs in a copy of that, however long it waits. */
  readonly snapshot?: string;
  /** What of the workdir did not come along, in words. */
  readonly lacks?: string;
  /** Destinations of `file_mounts` that belong into the workdir: relative ones, which lie below the home. */
  readonly mounts?: readonly string[];
  /** `SKYPILOT_TASK_ID` of the setup that it was launched with, which it has too; its own unless given. */
  readonly taskId?: string;
  /** The setup whose results it finds in its workdir, and whether that had the same one. */
  readonly setup?: { readonly uuid: string; readonly same: boolean };
  /** Seconds after which a try is ended. */
  readonly timeoutS?: number;
  /** How often it is run again after an exit code other than 0. */
  readonly retries?: number;
  /** GPUs per node as `SKYPILOT_NUM_GPUS_PER_NODE` and the RESOURCES column want them, e.g. `2x[V100:4]`. */
  readonly resources: string;
}

/** Jobs that were submitted together, as a sweep; their numbers follow each other. */
export interface JobGroup {
  /** The number of its first job. */
  readonly id: number;
  readonly name: string;
  readonly size: number;
}

/** Everything the queue knows of one job; what the store keeps. Times are ms since 1970 on this machine's clock. */
export interface JobRecord {
  /** Identity on the nodes; unique for ever. */
  readonly uuid: string;
  readonly cluster: string;
  /** Counts from 1 on each cluster. */
  readonly id: number;
  readonly name: string;
  readonly user: string;
  readonly status: JobStatus;
  readonly priority: number;
  /** Position key in the queue, may be a fraction; unique on a cluster. The submit order unless moved. */
  readonly order: number;
  readonly demand: JobDemand;
  readonly spec: JobSpec;
  /** The jobs it was submitted with. */
  readonly group?: JobGroup;
  /** Its user keeps it in the queue until they let it go. */
  readonly held?: boolean;
  /** UUIDs of jobs of the same cluster that must have succeeded before this one starts. */
  readonly after?: readonly string[];
  /** Their numbers, for a person. */
  readonly afterIds?: readonly number[];
  /** AES-256-GCM under the key file beside the store; base64. Absent when the task has no secrets. */
  readonly sealedSecrets?: string;
  readonly submittedAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Since the job was dispatched; kept after its end. */
  readonly placement?: Placement | undefined;
  /** While it waits: the nodes that may start it by themselves. It is taken back before it is started anywhere else. */
  readonly staged?: { readonly nodes: readonly string[] } | undefined;
  /** Cancel was asked for; the nodes have not all confirmed yet. */
  readonly cancelling?: boolean;
  /** One per rank, once known; null for a rank whose end is not known. */
  readonly exitCodes?: readonly (number | null)[];
  /** Which try it is at, or was at its end, from 1; absent while it is the first. */
  readonly tries?: number;
  /** Size of the mirror of its log, once that is complete. */
  readonly logBytes?: number;
  /** Why it ended as it did, or what went wrong, for a person. */
  readonly message?: string;
}
