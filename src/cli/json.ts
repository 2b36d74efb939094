import type { ClusterView, JobView, NodeView } from '../engine';

/**
 * A job as `--json` prints it. The fields are stable: new ones may come, none goes or changes its meaning. Every field is
 * always there; what is not known (yet) is null. Times are ISO 8601 in UTC.
 */
export interface JobJson {
  readonly cluster: string;
  /** Counts from 1 on its cluster. */
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly user: string;
  /** PENDING, SETTING_UP, RUNNING, SUCCEEDED, FAILED, FAILED_SETUP, CANCELLED or LOST. */
  readonly status: string;
  readonly cancelling: boolean;
  readonly priority: number;
  readonly numNodes: number;
  /** As `2x[V100:4]`. */
  readonly resources: string;
  readonly submittedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** By rank; empty before it is placed. */
  readonly nodes: readonly { readonly node: string; readonly devices: readonly number[] }[];
  /** By rank; null before it ended. */
  readonly exitCodes: readonly (number | null)[] | null;
  /** Why it ended as it did. */
  readonly message: string | null;
  /** Why it waits. */
  readonly reason: string | null;
  /** Its place in the queue, from 1, while it waits. */
  readonly place: number | null;
  /** Absolute path of the task file. */
  readonly file: string | null;
}

/** A cluster as `cq status --json` prints it; as stable as `JobJson`. */
export interface ClusterJson {
  readonly name: string;
  /** True when it is this machine itself. */
  readonly local: boolean;
  readonly running: number;
  readonly pending: number;
  readonly nodes: readonly {
    readonly name: string;
    /** As given to ssh; null for this machine. */
    readonly destination: string | null;
    /** idle, connecting, up or down. */
    readonly state: string;
    /** Why it is down. */
    readonly message: string | null;
    /** Logical CPUs and memory (MiB) with what is free; null until the node was reached once. */
    readonly cpus: { readonly total: number; readonly free: number } | null;
    readonly memoryMiB: { readonly total: number; readonly free: number } | null;
    /** `free` is the share of the device that a job could get, 0 to 1; `foreign` who uses it outside the queue. */
    readonly devices: readonly {
      readonly index: number;
      readonly name: string;
      readonly free: number;
      readonly foreign: string | null;
    }[];
  }[];
}

/** See `JobJson`. */
export function jobJson({ record, reason }: JobView): JobJson {
  return {
    cluster: record.cluster,
    id: record.id,
    uuid: record.uuid,
    name: record.name,
    user: record.user,
    status: record.status,
    cancelling: record.cancelling === true,
    priority: record.priority,
    numNodes: record.demand.numNodes,
    resources: record.spec.resources,
    submittedAt: new Date(record.submittedAt).toISOString(),
    startedAt: time(record.startedAt),
    endedAt: time(record.endedAt),
    nodes: record.placement?.ranks ?? [],
    exitCodes: record.exitCodes ?? null,
    message: record.message ?? null,
    reason: reason?.text ?? null,
    place: reason?.position ?? null,
    file: record.spec.file ?? null,
  };
}

/** See `ClusterJson`. */
export function clusterJson({ name, local, running, pending, nodes }: ClusterView): ClusterJson {
  return { name, local, running, pending, nodes: nodes.map(nodeJson) };
}

function nodeJson({ name, destination, link, usage }: NodeView): ClusterJson['nodes'][number] {
  return {
    name,
    destination: destination ?? null,
    state: link.state,
    message: link.state === 'down' ? link.message : null,
    cpus: usage?.cpus ?? null,
    memoryMiB: usage?.memoryMiB ?? null,
    devices: (usage?.devices ?? []).map((device) => ({
      index: device.index,
      name: device.name,
      free: device.free,
      foreign: device.foreign ?? null,
    })),
  };
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
