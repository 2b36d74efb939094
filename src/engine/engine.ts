import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isClusterName, type ClusterDefinition, type NodeDefinition } from '../cluster';
import { isFinished, type JobRecord, type PendingReason } from '../queue';
import { Store, type RepairReport } from '../store';
import type { Task } from '../task';
import { LocalTransport, SshTransport, type Prompter, type Transport } from '../transport';
import { ClusterRuntime, type ClusterHost } from './clusterRuntime';
import { Emitter } from './emitter';
import { QueueError } from './errors';
import type { JobPatch } from './jobRun';
import { rankUuid } from './jobRun';
import { LogMirror, logFileOf } from './logMirror';
import { SecretBox } from './secrets';
import { draftJob, given } from './submit';
import type { ClusterView, JobView, QueueChange, Reorder, SubmitOptions } from './views';
import { Workdirs } from './workdirs';

/** What an engine needs from its surroundings. */
export interface EngineOptions {
  /** The state folder (`CLUSTER_QUEUE_HOME`). */
  readonly home: string;
  /** As `ssh -F`; undefined for the user's own config. */
  readonly sshConfigFile?: string;
  readonly prompter?: Prompter;
  /** Seconds between TERM and KILL when a job is cancelled. */
  readonly graceS?: number;
  /** Added to the environment of the agent on this machine. */
  readonly localEnv?: Readonly<Record<string, string>>;
  readonly now?: () => number;
}

const DEFAULT_GRACE_S = 10;

/** The one owner of the queue's state: takes requests and node events, stores every change, and tells what changed. */
export class Engine {
  private readonly clusters = new Map<string, ClusterRuntime>();
  private readonly mirrors = new Map<string, { mirror: LogMirror; users: number }>();
  /** Jobs that were asked for under a uuid and are not on disk yet. */
  private readonly making = new Map<string, Promise<JobRecord>>();
  private readonly change = new Emitter<QueueChange>();
  private readonly trouble = new Emitter<Error>();
  private dirty = { clusters: new Set<string>(), jobs: new Map<string, JobRecord>() };
  private flushing = false;
  private closed = false;

  private constructor(
    private readonly options: EngineOptions,
    private readonly store: Store,
    private readonly secrets: SecretBox,
    private readonly workdirs: Workdirs,
    /** Set when the store had to be repaired at open; for the user to read. */
    readonly repair: RepairReport | undefined,
  ) {}

  /** Changes, gathered: listeners are called once for all that happened in one turn. */
  readonly onDidChange = this.change.on;
  /** What went wrong where nobody waited for an answer, e.g. the disk of the store. */
  readonly onTrouble = this.trouble.on;

  /**
   * Opens the state folder and takes up where the last engine stopped: jobs that were on nodes are asked for there.
   * @throws StoreError when the store cannot be opened
   */
  static async open(options: EngineOptions): Promise<Engine> {
    await mkdir(options.home, { recursive: true, mode: 0o700 });
    const { store, repair } = await Store.open(options.home);
    const engine = new Engine(
      options,
      store,
      await SecretBox.open(options.home),
      new Workdirs(path.join(options.home, 'workdirs')),
      repair,
    );
    for (const { definition } of store.clusters())
      engine.addRuntime(JSON.parse(definition) as ClusterDefinition);
    const live = store.liveJobs();
    await engine.workdirs.sweep(new Set(live.flatMap(({ spec }) => spec.snapshot ?? [])));
    for (const record of live) {
      const cluster = engine.clusters.get(record.cluster);
      cluster?.restore(record);
      cluster?.want();
    }
    return engine;
  }

  /** One cluster, or undefined when there is none of that name. */
  view(name: string): ClusterView | undefined {
    return this.clusters.get(name)?.view();
  }

  /** All clusters, in the order in which they were added. */
  views(): ClusterView[] {
    return [...this.clusters.values()].map((cluster) => cluster.view());
  }

  definition(name: string): ClusterDefinition {
    return this.cluster(name).definition;
  }

  /** The newest jobs of a cluster, newest first; live ones are always among them. */
  jobs(cluster: string, limit = 200): JobView[] {
    this.cluster(cluster);
    return this.store.recentJobs(cluster, limit).map((record) => this.viewOf(record));
  }

  /** @throws QueueError `no-job` */
  job(cluster: string, id: number): JobView {
    const record = this.store.job(cluster, id);
    if (!record) throw new QueueError('no-job', `${cluster} has no job ${id}`);
    this.cluster(cluster);
    return this.viewOf(record);
  }

  jobByUuid(uuid: string): JobRecord | undefined {
    return this.store.jobByUuid(uuid);
  }

  /** Adds a cluster and connects to its nodes. @throws QueueError `bad-name`, `cluster-exists` */
  async addCluster(definition: ClusterDefinition): Promise<void> {
    if (!isClusterName(definition.name)) {
      throw new QueueError(
        'bad-name',
        `"${definition.name}" cannot name a cluster: begin with a letter, go on with letters, digits, - _ and ., and end with a letter or digit`,
      );
    }
    if (this.clusters.has(definition.name))
      throw new QueueError('cluster-exists', `there is a cluster ${definition.name} already`);
    // Known from here on: another request for the same name in the meantime must not make it twice.
    const runtime = this.addRuntime(definition);
    try {
      await this.store.putCluster({ name: definition.name, definition: JSON.stringify(definition) });
    } catch (error) {
      runtime.close();
      this.clusters.delete(definition.name);
      throw error;
    }
    runtime.want();
    this.touch(definition.name);
  }

  /**
   * Makes sure that there is a cluster `name` which is this machine itself; its declared GPUs are those given, where
   * none are found.
   */
  async defineLocal(name: string, virtual: NodeDefinition['virtual']): Promise<void> {
    const known = this.clusters.get(name);
    const node: NodeDefinition = { name: os.hostname(), ...(virtual === undefined ? {} : { virtual }) };
    if (!known) {
      await this.addCluster({ name, nodes: [node] });
      return;
    }
    await known.declare(node.name, virtual);
  }

  /** Forgets a cluster; its nodes keep nothing running. @throws QueueError `cluster-busy` while jobs are alive */
  async removeCluster(name: string): Promise<void> {
    const cluster = this.cluster(name);
    if (cluster.liveJobs > 0)
      throw new QueueError(
        'cluster-busy',
        `${name} has ${cluster.liveJobs} jobs that wait or run: cancel them first`,
      );
    await this.store.removeCluster(name);
    cluster.close();
    this.clusters.delete(name);
    this.touch(name);
  }

  /**
   * Queues a task; resolves with the job's record once it is on disk.
   * @throws QueueError `refused` when the cluster can never run it, `missing-values`, `workdir`, `no-cluster`
   * @throws StoreError when the disk says no; then there is no job
   */
  async submit(task: Task, options: SubmitOptions): Promise<JobRecord> {
    return this.once(options.uuid, () => this.submitNew(task, options));
  }

  private async submitNew(task: Task, options: SubmitOptions): Promise<JobRecord> {
    const cluster = this.cluster(options.cluster);
    const draft = draftJob(task, options, this.now());
    const refusal = cluster.refusal(draft.demand);
    if (refusal !== undefined)
      throw new QueueError('refused', `${options.cluster} can never run this: ${refusal}`);
    const snapshot =
      draft.spec.workdir === undefined ? undefined : await this.workdirs.take(draft.spec.workdir);
    const secrets = given(task.secrets);
    const after = (options.after ?? []).map((id) => this.job(options.cluster, id).record.uuid);
    return this.enqueue(cluster, {
      ...draft,
      ...(after.length === 0 ? {} : { after }),
      ...(snapshot === undefined ? {} : { spec: { ...draft.spec, snapshot } }),
      ...(Object.keys(secrets).length === 0 ? {} : { sealedSecrets: this.secrets.seal(secrets) }),
    });
  }

  /** Does what makes the job of this uuid, unless that was done or is being done. */
  private once(uuid: string | undefined, make: () => Promise<JobRecord>): Promise<JobRecord> {
    if (uuid === undefined) return make();
    const underWay = this.making.get(uuid);
    if (underWay) return underWay;
    const made = this.store.jobByUuid(uuid);
    if (made) return Promise.resolve(made);
    const making = make().finally(() => this.making.delete(uuid));
    this.making.set(uuid, making);
    return making;
  }

  /** Numbers a job, stores it, and lets it be placed: in one turn, so that a start at once shares the record's fsync. */
  private async enqueue(cluster: ClusterRuntime, draft: Omit<JobRecord, 'id' | 'order'>): Promise<JobRecord> {
    const id = this.store.nextJobId(draft.cluster);
    const record: JobRecord = { ...draft, id, order: id };
    const durable = this.store.addJob(record);
    cluster.submit(record);
    this.touch(record.cluster, record);
    try {
      await durable;
    } catch (error) {
      // Not on disk, so it was never accepted. (A placement that rode on the same fsync has come back by now.)
      await new Promise((resolve) => setImmediate(resolve));
      cluster.withdraw(record);
      this.touch(record.cluster);
      throw error;
    }
    return record;
  }

  /**
   * Puts a local file or folder on every node of a cluster that can be reached; what is there already is replaced file
   * by file. `destination` is absolute, begins with `~/`, or is taken from the home.
   * @throws QueueError `workdir` when the source cannot be read; Error with the node's words
   */
  async mount(cluster: string, source: string, destination: string): Promise<void> {
    const snapshot = await this.workdirs.take(source);
    const runtime = this.cluster(cluster);
    await Promise.all(
      runtime.sessions().map(async ({ session, exec }) => {
        await this.workdirs.send(snapshot, session, exec);
        await session.place(snapshot, destination);
      }),
    );
  }

  /** Queues a job once more, as it was: the same text, values and demand, on its cluster. @throws as `submit` */
  async runAgain(cluster: string, id: number, user: string, uuid?: string): Promise<JobRecord> {
    return this.once(uuid, () => this.runNew(cluster, id, user, uuid ?? randomUUID()));
  }

  private async runNew(cluster: string, id: number, user: string, uuid: string): Promise<JobRecord> {
    const runtime = this.cluster(cluster);
    const { record: old } = this.job(cluster, id);
    const refusal = runtime.refusal(old.demand);
    if (refusal !== undefined) throw new QueueError('refused', `${cluster} can never run this: ${refusal}`);
    const { name, priority, demand, spec, sealedSecrets } = old;
    const snapshot = spec.workdir === undefined ? {} : { snapshot: await this.workdirs.take(spec.workdir) };
    return this.enqueue(runtime, {
      uuid,
      cluster,
      name,
      user,
      status: 'PENDING',
      priority,
      demand,
      spec: { ...spec, ...snapshot },
      submittedAt: this.now(),
      ...(sealedSecrets === undefined ? {} : { sealedSecrets }),
    });
  }

  /** Changes a waiting job's place in the queue, or holds it. @throws QueueError `not-waiting`, `no-job` */
  async reorder(cluster: string, id: number, change: Reorder): Promise<void> {
    await this.cluster(cluster).reorder(this.job(cluster, id).record, change);
  }

  /** Begins to cancel jobs; those that wait are cancelled when this returns. Ended ones are passed over. */
  cancel(cluster: string, ids: readonly number[] | 'all'): JobRecord[] {
    const runtime = this.cluster(cluster);
    const records =
      ids === 'all'
        ? this.store.liveJobs().filter((record) => record.cluster === cluster)
        : ids.map((id) => this.job(cluster, id).record);
    const live = records.filter(({ status }) => !isFinished(status));
    for (const record of live) runtime.cancel(record);
    return live;
  }

  /** Connects to a cluster's nodes, without waiting; shows at once what is known. */
  connect(cluster: string): void {
    this.cluster(cluster).want();
  }

  /** Looks at every node of a cluster afresh. */
  async refresh(cluster: string): Promise<void> {
    await this.cluster(cluster).refresh();
    this.touch(cluster);
  }

  /** True while a job waits or runs anywhere. */
  get busy(): boolean {
    return [...this.clusters.values()].some(({ liveJobs }) => liveJobs > 0);
  }

  /**
   * A job's log as a local file that grows while it is held. The same mirror is given to all who ask; each calls
   * `release` once.
   */
  log(cluster: string, id: number): { mirror: LogMirror; release: () => void } {
    const { record } = this.job(cluster, id);
    let held = this.mirrors.get(record.uuid);
    if (!held) {
      held = { mirror: new LogMirror(this.logFile(record)), users: 0 };
      this.mirrors.set(record.uuid, held);
      this.assign(held.mirror, record);
    }
    const entry = held;
    entry.users++;
    let released = false;
    return {
      mirror: entry.mirror,
      release: () => {
        if (released) return;
        released = true;
        if (--entry.users > 0) return;
        this.mirrors.delete(record.uuid);
        void entry.mirror.dispose();
      },
    };
  }

  /** Where a job's log is mirrored. */
  logFile(record: JobRecord): string {
    return logFileOf(this.options.home, record);
  }

  /** Stops; jobs go on, and the next engine takes up from the store. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    for (const cluster of this.clusters.values()) cluster.close();
    await Promise.all([...this.mirrors.values()].map(({ mirror }) => mirror.dispose()));
    this.mirrors.clear();
    await this.store.close();
  }

  /** Why a pending job waits; undefined for any other. */
  reason(record: JobRecord): PendingReason | undefined {
    return record.status === 'PENDING' ? this.clusters.get(record.cluster)?.reason(record) : undefined;
  }

  private viewOf(record: JobRecord): JobView {
    const reason = this.reason(record);
    return reason === undefined ? { record } : { record, reason };
  }

  private cluster(name: string): ClusterRuntime {
    const cluster = this.clusters.get(name);
    if (!cluster) {
      const known = [...this.clusters.keys()].join(', ') || 'none yet';
      throw new QueueError('no-cluster', `there is no cluster ${name} (known: ${known})`);
    }
    return cluster;
  }

  private addRuntime(definition: ClusterDefinition): ClusterRuntime {
    const { name } = definition;
    const host: ClusterHost = {
      graceS: this.options.graceS ?? DEFAULT_GRACE_S,
      now: () => this.now(),
      connect: (node, signal) => this.transport(node, signal),
      find: (uuid) => this.store.jobByUuid(uuid),
      patch: (record, patch) => this.patch(record, patch),
      redefine: (changed) =>
        this.persist(this.store.putCluster({ name, definition: JSON.stringify(changed) })),
      secrets: (record) =>
        record.sealedSecrets === undefined ? {} : this.secrets.open(record.sealedSecrets),
      prepare: async (record, session, exec) => {
        if (record.spec.snapshot !== undefined) await this.workdirs.send(record.spec.snapshot, session, exec);
      },
      changed: (record) => this.touch(name, record),
      attached: (node, session) => {
        for (const { mirror } of this.mirrors.values())
          void mirror.attach(node, session).catch((error: unknown) => this.complain(error));
      },
      detached: (node) => {
        for (const { mirror } of this.mirrors.values()) mirror.detach(node);
      },
    };
    const runtime = new ClusterRuntime(definition, host);
    this.clusters.set(name, runtime);
    return runtime;
  }

  private transport(node: NodeDefinition, signal: AbortSignal): Promise<Transport> {
    if (node.destination === undefined)
      return Promise.resolve(new LocalTransport(node.name, this.options.localEnv));
    return SshTransport.connect(
      node.destination,
      { configFile: this.options.sshConfigFile, prompter: this.options.prompter },
      signal,
    );
  }

  private patch(before: JobRecord, patch: JobPatch): Promise<void> {
    const durable = this.store.updateJob(before.uuid, patch);
    durable.catch((error: unknown) => this.complain(error));
    const record = { ...before, ...patch };
    this.touch(record.cluster, record);
    const held = this.mirrors.get(record.uuid);
    const begins = before.status === 'SETTING_UP' && record.status !== 'SETTING_UP';
    if (
      held &&
      (patch.placement ||
        begins ||
        record.status === 'LOST' ||
        (isFinished(record.status) && !record.placement))
    ) {
      this.assign(held.mirror, record);
    }
    return durable;
  }

  /** Tells a mirror where the job's ranks are, and lets it follow those that can be reached. */
  private assign(mirror: LogMirror, record: JobRecord): void {
    // A node that has not heard of the job yet (its workdir is on the way) would say that its log is complete.
    const ranks = record.status === 'SETTING_UP' ? [] : (record.placement?.ranks ?? []);
    const sources = ranks.map(({ node }, rank) => ({ node, uuid: rankUuid(record.uuid, rank) }));
    const cluster = this.cluster(record.cluster);
    mirror
      .assign(sources)
      .then(async () => {
        if (record.status === 'LOST' || (isFinished(record.status) && ranks.length === 0)) mirror.abandon();
        for (const { node } of sources) {
          const session = cluster.session(node);
          if (session) await mirror.attach(node, session);
          else cluster.want();
        }
      })
      .catch((error: unknown) => this.complain(error));
  }

  private touch(cluster: string, record?: JobRecord): void {
    this.dirty.clusters.add(cluster);
    if (record) this.dirty.jobs.set(record.uuid, record);
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => {
      const { clusters, jobs } = this.dirty;
      this.dirty = { clusters: new Set(), jobs: new Map() };
      this.flushing = false;
      if (!this.closed) this.change.fire({ clusters, jobs: [...jobs.values()] });
    });
  }

  private persist(durable: Promise<void>): void {
    durable.catch((error: unknown) => this.complain(error));
  }

  private complain(error: unknown): void {
    this.trouble.fire(error instanceof Error ? error : new Error(String(error)));
  }

  private now(): number {
    return this.options.now?.() ?? Date.now();
  }
}
