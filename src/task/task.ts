/**
 * What a task file says, after parsing: plain data, no YAML, no editor, no cluster.
 * Field names and meaning are SkyPilot's (docs/source/reference/yaml-spec.rst of skypilot-org/skypilot).
 */

/** Accelerators one node must give to the task. */
export interface AcceleratorRequest {
  /** GPU name as written, e.g. `V100` or `A100-80GB`; undefined when any GPU will do. Compared case-insensitively. */
  readonly name?: string;
  /** With a request by memory (`16GB+`): the least (or, without `+`, the exact) GPU memory in MiB. */
  readonly memoryMiB?: { readonly amount: number; readonly atLeast: boolean };
  /** Maker, as written before a memory size (`nvidia:24GB+`). */
  readonly vendor?: string;
  /** Whole devices, or a fraction below 1 of a single shared device. Always > 0. */
  readonly count: number;
}

/** An amount such as `4` (exactly, for a cloud; at least, on one's own nodes) or `4+`. */
export interface Quantity {
  readonly amount: number;
  readonly atLeast: boolean;
}

/** One way to satisfy a task's needs, per node. */
export interface ResourceAlternative {
  readonly accelerator?: AcceleratorRequest;
  /** Logical CPUs. */
  readonly cpus?: Quantity;
  /** Memory in MiB; or, with `perCpu`, GB per CPU (`2x`). */
  readonly memoryMiB?: Quantity & { readonly perCpu?: boolean };
  /** `infra`, as written (`ssh/my-pool`). */
  readonly infra?: string;
}

export interface GitWorkdir {
  readonly url: string;
  readonly ref?: string;
}

/** A task: what one document of a task file asks for. */
export interface Task {
  readonly name?: string;
  /** Local folder as written (not resolved), or a git repository. */
  readonly workdir?: string | GitWorkdir;
  /** How many nodes run `run` at the same time, each with the same demand. Whole, >= 1. */
  readonly numNodes: number;
  /**
   * The alternatives, most preferred first when `ordered`; never empty (a task that asks for nothing has one empty
   * alternative).
   */
  readonly resources: readonly ResourceAlternative[];
  readonly ordered: boolean;
  /** `resources.priority`; 0 unless given. */
  readonly priority: number;
  /** `resources.job_recovery.max_restarts_on_errors`: how often it is run again after it failed; 0 unless given. */
  readonly retries?: number;
  /** Values as strings, as SkyPilot does (`True`, `1.5`); null: must be given at exec. */
  readonly envs: Readonly<Record<string, string | null>>;
  readonly secrets: Readonly<Record<string, string | null>>;
  /** Destination on the node → local path or URL, or a storage mapping as written. */
  readonly fileMounts: Readonly<Record<string, unknown>>;
  readonly setup?: string;
  readonly run?: string;
}

/** What the command line or a menu may change in a task before it is submitted. */
export interface TaskOverrides {
  readonly name?: string;
  /** As `--gpus`: any form of the `accelerators` string; `none` asks for no GPU. */
  readonly gpus?: string;
  readonly numNodes?: number;
  readonly cpus?: string;
  readonly memory?: string;
  readonly priority?: number;
  readonly workdir?: string | GitWorkdir;
  /** As `--infra`; for every alternative. */
  readonly infra?: string;
  readonly envs?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
}
