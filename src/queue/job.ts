/** A job's life, as data. `INIT` of SkyPilot exists only inside the engine: a job is stored from PENDING on. */
export const JOB_STATUSES = [
  'PENDING',
  'SETTING_UP',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'FAILED_SETUP',
  'CANCELLED',
  'LOST',
] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];

/** Which status may follow which; a status never moves up. */
const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  PENDING: ['SETTING_UP', 'RUNNING', 'FAILED', 'FAILED_SETUP', 'CANCELLED'],
  // A launch that the node refused (a colleague's lease) returns to the queue.
  SETTING_UP: ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'CANCELLED', 'LOST'],
  RUNNING: ['SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'CANCELLED', 'LOST'],
  SUCCEEDED: [],
  FAILED: [],
  FAILED_SETUP: [],
  CANCELLED: [],
  LOST: [],
};

/** True when nothing can happen to the job any more. */
export function isFinished(status: JobStatus): boolean {
  return NEXT[status].length === 0;
}

/** True when the job has been dispatched and has not ended. */
export function isOnNodes(status: JobStatus): boolean {
  return status !== 'PENDING' && !isFinished(status);
}

/** Throws when a job may not go from one status to the other; the one place that says so. */
export function assertTransition(from: JobStatus, to: JobStatus): void {
  if (!NEXT[from].includes(to)) throw new Error(`a job cannot go from ${from} to ${to}`);
}

/** What a job takes of each of its nodes. */
export interface NodeDemand {
  /** No GPU when absent. */
  readonly gpu?: GpuDemand;
  /** Logical CPUs, also fractions; 0.5 unless asked for. */
  readonly cpus: number;
  readonly memoryMiB: number;
}

export interface GpuDemand {
  /** Compared without case; any GPU when absent. `V100` also matches a node's `V100-32GB`. */
  readonly name?: string;
  readonly memoryMiB?: { readonly amount: number; readonly atLeast: boolean };
  /** Whole devices, or a fraction below 1 of one shared device. */
  readonly count: number;
}

/** Demand of a whole job: `numNodes` distinct nodes at once, each giving one and the same of the alternatives. */
export interface JobDemand {
  readonly numNodes: number;
  /** Never empty; tried in this order. */
  readonly alternatives: readonly NodeDemand[];
}

/** Where one rank of a job runs. Rank = index in `Placement.ranks`. */
export interface RankPlacement {
  readonly node: string;
  /** Device indices on that node, ascending; empty for a job without GPU. */
  readonly devices: readonly number[];
}

export interface Placement {
  readonly ranks: readonly RankPlacement[];
  /** Which of the alternatives was given. */
  readonly alternative: number;
}
