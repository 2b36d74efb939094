import type { Background } from '../control';
import type { ClusterView, JobView, NodeView } from '../engine';
import { deviceLabel } from '../queue';

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
  /** Its user keeps it from starting. */
  readonly held: boolean;
  /** Numbers of the jobs that must have succeeded before it starts. */
  readonly after: readonly number[];
  readonly numNodes: number;
  /** As `2x[V100:4]`. */
  readonly resources: string;
  readonly submittedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** By rank; empty before it is placed. */
  readonly nodes: readonly { readonly node: string; readonly devices: readonly number[] }[];
  /** The jobs it was submitted with: the number of the first, the name they share, and how many they are. */
  readonly group: { readonly id: number; readonly name: string; readonly size: number } | null;
  /** Seconds after which a try is ended. */
  readonly timeoutSeconds: number | null;
  /** How often it is run again after an exit code other than 0. */
  readonly retries: number;
  /** Which try it is at, or was at its end, from 1. */
  readonly tries: number;
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

/** What `cq status --json` prints; as stable as `JobJson`. */
export interface StatusJson {
  readonly clusters: readonly ClusterJson[];
  /** The engine that goes on while no window is open; null for none. `host`: another machine that has it; null for this. */
  readonly background: { readonly pid: number; readonly host: string | null; readonly log: string } | null;
}

/** A cluster of `StatusJson`. */
export interface ClusterJson {
  readonly name: string;
  /** True when it is this machine itself. */
  readonly local: boolean;
  readonly running: number;
  readonly pending: number;
  readonly staged: number;
  /** A launch that has not come to its end: the step it is at (`connect`, `files` or `setup`), and why that failed. */
  readonly launch: { readonly step: string; readonly message: string | null } | null;
  readonly nodes: readonly {
    readonly name: string;
    /** As given to ssh; null for this machine. */
    readonly destination: string | null;
    /** idle, connecting, up or down. */
    readonly state: string;
    /** True when it starts nothing new. */
    readonly draining: boolean;
    /** Why it is down, or what the tools say that tell of GPUs where they fail and none is found. */
    readonly message: string | null;
    /** Logical CPUs and memory (MiB) with what is free; null until the node was reached once. */
    readonly cpus: { readonly total: number; readonly free: number } | null;
    readonly memoryMiB: { readonly total: number; readonly free: number } | null;
    /**
     * `label` is the index, or GPU and number of a MIG slice (`0:1`); `free` the share of the device that a job could get,
     * 0 to 1; `foreign` who uses it outside the queue.
     */
    readonly devices: readonly {
      readonly index: number;
      readonly label: string;
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
    // A node may have started it while it was told.
    held: record.status === 'PENDING' && record.held === true,
    after: record.afterIds ?? [],
    numNodes: record.demand.numNodes,
    resources: record.spec.resources,
    submittedAt: new Date(record.submittedAt).toISOString(),
    startedAt: time(record.startedAt),
    endedAt: time(record.endedAt),
    nodes: record.placement?.ranks ?? [],
    group: record.group ?? null,
    timeoutSeconds: record.spec.timeoutS ?? null,
    retries: record.spec.retries ?? 0,
    tries: record.tries ?? 1,
    exitCodes: record.exitCodes ?? null,
    message: record.message ?? null,
    reason: reason?.text ?? null,
    place: reason === undefined || reason.position === 0 ? null : reason.position,
    file: record.spec.file ?? null,
  };
}

/** See `StatusJson`. */
export function statusJson(views: readonly ClusterView[], background: Background | undefined): StatusJson {
  return {
    clusters: views.map(clusterJson),
    background: background
      ? { pid: background.pid, host: background.host ?? null, log: background.log }
      : null,
  };
}

/** See `ClusterJson`. */
function clusterJson(view: ClusterView): ClusterJson {
  const { name, local, running, pending, staged, launch, nodes } = view;
  return {
    name,
    local,
    running,
    pending,
    staged,
    launch: launch ? { step: launch.name, message: launch.message ?? null } : null,
    nodes: nodes.map(nodeJson),
  };
}

function nodeJson({
  name,
  destination,
  link,
  usage,
  draining,
  about,
}: NodeView): ClusterJson['nodes'][number] {
  return {
    name,
    destination: destination ?? null,
    state: link.state,
    draining: draining === true,
    message: link.state === 'down' ? link.message : (about?.gpuTrouble ?? null),
    cpus: usage?.cpus ?? null,
    memoryMiB: usage?.memoryMiB ?? null,
    devices: (usage?.devices ?? []).map((device) => ({
      index: device.index,
      label: deviceLabel(device.index),
      name: device.name,
      free: device.free,
      foreign: device.foreign ?? null,
    })),
  };
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
