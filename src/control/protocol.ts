import type { ClusterDefinition, LaunchStep, NodesChange } from '../cluster';
import type {
  ClusterView,
  FetchProgress,
  FetchRequest,
  Received,
  JobsOf,
  JobView,
  Mount,
  MountOptions,
  NodeAtBoot,
  Reorder,
  StaleMount,
  SubmitOptions,
} from '../engine';
import type { JobRecord } from '../queue';
import type { Task, Variant } from '../task';

/** The shape of `Hello` and of the answer's error, by which two versions tell each other apart; it never changes. */
export const PROTOCOL = 1;

/** First request of a client. */
export interface Hello {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
  /** From the endpoint file, which only the user can read. */
  readonly token: string;
  /** Whether this process has a person who can answer a node's questions. */
  readonly answers: boolean;
}

export interface Welcome {
  readonly state: WireState;
}

/** Everything a client keeps, at the moment of its hello. */
export interface WireState {
  readonly clusters: readonly WireCluster[];
}

export interface WireCluster {
  readonly view: ClusterView;
  readonly definition: ClusterDefinition;
  readonly jobs: WireJobs;
}

/** The newest jobs; every job from `floor` up is among them. */
export interface WireJobs {
  readonly floor: number;
  readonly jobs: readonly JobView[];
}

/** What became different since the last change, as whole values. */
export interface WireChange {
  readonly clusters: readonly {
    readonly name: string;
    readonly view?: ClusterView;
    readonly definition?: ClusterDefinition;
    readonly jobs: readonly JobView[];
    /** With a cluster that is new: see `WireJobs`. */
    readonly floor?: number;
    /** Numbers of jobs that went to the archive. */
    readonly archived?: readonly number[];
  }[];
  readonly removed: readonly string[];
}

/** What a process may ask of the one that has the engine. A request that is sent twice has the effect of one. */
export interface Calls {
  addCluster: { params: { definition: ClusterDefinition }; result: null };
  defineLocal: {
    params: { name: string; virtual: { name: string; count: number } | null };
    result: null;
  };
  changeNodes: { params: { cluster: string; change: NodesChange }; result: null };
  removeCluster: { params: { name: string }; result: null };
  submit: { params: { task: Task; options: SubmitOptions & { uuid: string } }; result: JobRecord };
  submitGroup: {
    params: { task: Task; variants: readonly Variant[]; options: SubmitOptions & { uuid: string } };
    result: JobRecord;
  };
  runAgain: { params: { cluster: string; id: number; user: string; uuid: string }; result: JobRecord };
  cancel: { params: { cluster: string; ids: JobsOf | 'all' }; result: JobRecord[] };
  connect: { params: { cluster: string }; result: null };
  refresh: { params: { cluster: string }; result: null };
  mount: { params: { cluster: string; mount: Mount; options: MountOptions }; result: null };
  staleMounts: { params: { cluster: string; mounts: readonly Mount[] }; result: StaleMount[] };
  resumeAtBoot: { params: { cluster: string; on: boolean }; result: NodeAtBoot[] };
  noteLaunch: { params: { cluster: string; step: LaunchStep | null }; result: null };
  reorder: {
    params: { cluster: string; id: number | { readonly group: number }; change: Reorder };
    result: null;
  };
  /** `fetch` is the asker's name for it, under which `fetchState` and `stopFetch` know it until it has ended. */
  fetch: { params: FetchRequest & { fetch: string }; result: Received };
  fetchState: { params: { fetch: string }; result: FetchProgress | null };
  stopFetch: { params: { fetch: string }; result: null };
  /** The newest jobs, as they are now. */
  list: { params: { cluster: string; limit: number }; result: JobView[] };
  /** As `list`, and the client keeps them: their changes are pushed from now on. */
  widen: { params: { cluster: string; limit: number }; result: WireJobs };
  find: { params: { cluster: string; id: number }; result: JobView };
  archived: { params: { cluster: string; limit: number }; result: JobView[] };
}

export type CallName = keyof Calls;
export type Params<M extends CallName> = Calls[M]['params'];
export type Result<M extends CallName> = Calls[M]['result'];

/** The names of all calls, for a server to register. */
export const CALL_NAMES = [
  'addCluster',
  'defineLocal',
  'changeNodes',
  'removeCluster',
  'submit',
  'submitGroup',
  'runAgain',
  'cancel',
  'connect',
  'refresh',
  'mount',
  'staleMounts',
  'resumeAtBoot',
  'noteLaunch',
  'reorder',
  'fetch',
  'fetchState',
  'stopFetch',
  'list',
  'widen',
  'find',
  'archived',
] as const satisfies readonly CallName[];

/** Asks to be told how far a log has grown; `log` is the client's number for it. */
export interface Follow {
  readonly log: number;
  readonly cluster: string;
  readonly id: number;
}

/** The log's file has `size` bytes; `ended`: and will have no more. */
export interface Grown {
  readonly log: number;
  readonly size: number;
  readonly ended: boolean;
}

/** A question of a node, for the person at a client. The `number` of one for a secret comes again with its `Outcome`. */
export type Question =
  | { readonly kind: 'passphrase'; readonly file: string; readonly node: string; readonly number: number }
  | { readonly kind: 'password'; readonly user: string; readonly node: string; readonly number: number }
  | { readonly kind: 'answer'; readonly node: string; readonly question: string; readonly echo: boolean }
  | {
      readonly kind: 'trustHost';
      readonly node: string;
      readonly keyType: string;
      readonly fingerprint: string;
    };

/** `text` of null: they declined. For `trustHost`, any text is a yes. */
export interface Answer {
  readonly text: string | null;
}

/** Whether the secret that answered a question was the right one. */
export interface Outcome {
  readonly number: number;
  readonly worked: boolean;
}

/** Error number of JSON-RPC for everything the engine refuses; which it was is in the data. */
export const REFUSED = 1;

/** An error across the socket. */
export interface WireError {
  readonly kind: 'queue' | 'store' | 'other';
  readonly code: string;
}
