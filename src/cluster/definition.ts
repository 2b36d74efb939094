/** A cluster as its user defined it, with what its nodes were last found to have. Plain data; the store keeps it. */
export interface ClusterDefinition {
  readonly name: string;
  readonly nodes: readonly NodeDefinition[];
}

export interface NodeDefinition {
  /** How the user calls it; unique in its cluster. */
  readonly name: string;
  /** What `ssh` would be given; absent for this machine itself. */
  readonly destination?: string;
  /** GPUs that are declared rather than found: scheduled and exported like real ones. */
  readonly virtual?: { readonly name: string; readonly count: number } | undefined;
  /** Absent until the node was reached once. */
  readonly inventory?: NodeInventory;
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
  /** What CUDA_VISIBLE_DEVICES will hold. */
  readonly index: number;
  /** As task files name it, e.g. `V100-32GB`. */
  readonly name: string;
  /** Identity of the device on its node, for leases; without white space, comma or slash. */
  readonly lease: string;
  readonly memoryMiB?: number;
}

/** SkyPilot's rule for cluster names (sky/utils/common_utils.py: check_cluster_name_is_valid). */
export function isClusterName(name: string): boolean {
  return /^[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(name);
}
