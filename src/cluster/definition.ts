/** A cluster as its user defined it, with what its nodes were last found to have. Plain data; the store keeps it. */
export interface ClusterDefinition {
  readonly name: string;
  readonly nodes: readonly NodeDefinition[];
  readonly launch?: LaunchState;
}

/** What launches have done to a cluster. */
export interface LaunchState {
  /** Absent when the last launch has queued its jobs and its setup has not failed, or there was none. */
  readonly step?: LaunchStep;
  /** The last setup that succeeded in a workdir, and which: what it made there is in those of later jobs. */
  readonly setup?: { readonly uuid: string; readonly snapshot: string };
  /** `file_mounts` as they were placed last, by destination. */
  readonly placed?: Readonly<Record<string, PlacedMount>>;
}

/** Where a launch is, or where it ended. */
export interface LaunchStep {
  /** `connect`: the nodes are candidates, of which those that fit will be kept. `setup`: it was queued, and has failed. */
  readonly name: 'connect' | 'files' | 'setup';
  /** Why it failed; absent while it is under way. */
  readonly message?: string;
  /** Absolute path of the task file, to take the step up again. */
  readonly file?: string;
  /** Under which uuids its jobs are queued: taken up again, a launch queues none of them twice. */
  readonly jobs?: LaunchJobs;
  /** With `setup`: the number of the job that failed. */
  readonly job?: number;
}

/** Uuids of the jobs of a launch; each absent when the task has no such part. */
export interface LaunchJobs {
  readonly setup?: string;
  readonly run?: string;
}

export interface PlacedMount {
  /** Absolute path, or an address that nodes fetch themselves. */
  readonly source: string;
  /** What a local source held then. */
  readonly snapshot?: string;
  /** Nodes that have it. */
  readonly nodes: readonly string[];
}

export interface NodeDefinition {
  /** How the user calls it; unique in its cluster. */
  readonly name: string;
  /** What `ssh` would be given; absent for this machine itself. */
  readonly destination?: string;
  /** How to log in where the ssh config does not know the host. */
  readonly login?: NodeLogin;
  /** GPUs that are declared rather than found: scheduled and exported like real ones. */
  readonly virtual?: { readonly name: string; readonly count: number } | undefined;
  /** Starts nothing new; what runs there goes on. */
  readonly draining?: true;
  /** What jobs may use of what is found. */
  readonly limits?: NodeLimits;
  /** Absent until the node was reached once. */
  readonly inventory?: NodeInventory;
}

/** What changes of a cluster's nodes; nodes by name. Done twice, it has the effect of once. */
export interface NodesChange {
  /** One that is there already gets this login and these limits. */
  readonly add?: readonly NodeDefinition[];
  readonly remove?: readonly string[];
  readonly drain?: readonly string[];
  readonly undrain?: readonly string[];
}

/** From a node pools file. A password is never kept: it is read from that file whenever a connection is made. */
export interface NodeLogin {
  readonly user?: string;
  /** Path of a private key; may begin with `~/`. */
  readonly identityFile?: string;
  /** Absolute path of the pools file, and the pool in it. */
  readonly pool?: { readonly file: string; readonly name: string };
}

/** What a node's owner lets jobs use, where that differs from what is found. */
export interface NodeLimits {
  /** At most so many GPUs, called by this name. */
  readonly gpus?: { readonly name: string; readonly count: number };
  readonly cpus?: number;
  readonly memoryMiB?: number;
  /** The GPUs that may be used, with all their slices, by index, best first. */
  readonly devices?: readonly number[];
}

/** What a node has for jobs. */
export interface NodeInventory {
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Its own address, as other nodes of the cluster reach it. */
  readonly ip: string;
  readonly devices: readonly DeviceInventory[];
}

export interface DeviceInventory {
  /** Its number on its node: as nvidia-smi counts, as HIP counts, or `sliceIndex` of a MIG slice. */
  readonly index: number;
  /** As task files name it, e.g. `V100-32GB`. */
  readonly name: string;
  /** Identity of the device on its node, for leases; without white space, comma or slash. `leaseOf` its uuid. */
  readonly lease: string;
  readonly memoryMiB?: number;
}

/** What a name of a cluster has to be, in words. */
export const CLUSTER_NAME_RULE =
  'begin with a letter, go on with letters, digits, - _ and ., and end with a letter or digit';

/** SkyPilot's rule for cluster names (sky/utils/common_utils.py: check_cluster_name_is_valid). */
export function isClusterName(name: string): boolean {
  return /^[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(name);
}
