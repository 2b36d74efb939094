import os from 'node:os';
import path from 'node:path';
import {
  CLUSTER_NAME_RULE,
  isClusterName,
  type ClusterDefinition,
  type LaunchStep,
  type NodeDefinition,
  type NodesChange,
} from '../cluster';
import { isFinished, type JobRecord, type PendingReason } from '../queue';
import { makeFolder, Store, type RepairReport, type Urgency } from '../store';
import type { Task, Variant } from '../task';
import { LocalTransport, SshTransport, type Channel, type Prompter, type Transport } from '../transport';
import { Changes } from './changes';
import { ClusterRuntime, type ClusterHost } from './clusterRuntime';
import { Emitter } from './emitter';
import { Endings } from './endings';
import { QueueError } from './errors';
import { Groups } from './groups';
import { agreedSetting } from './agreedSetting';
import { History, type HistoryLimits } from './history';
import { checkPatterns, fetchOutputs, type FetchRequest, type FetchWatcher } from './fetchOutputs';
import type { Received } from './files/receive';
import { JobLogs } from './jobLogs';
import type { JobPatch } from './jobRun';
import { atStep } from './launchNotes';
import { Neighbours } from './neighbours';
import { loginOf } from './login';
import type { LogMirror } from './logMirror';
import { MountPlacer } from './mounts';
import { reached } from './reached';
import { SecretBox } from './secrets';
import { Submissions } from './submissions';
import type {
  ClusterView,
  JobsOf,
  JobView,
  Mount,
  MountOptions,
  NodeAtBoot,
  Reorder,
  StaleMount,
  SubmitOptions,
} from './views';
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
  /** When finished jobs are archived; as an engine before was told, when not given. */
  readonly history?: HistoryLimits;
  /** How large a log may become; as an engine before was told, when not given. */
  readonly logs?: LogLimits;
  /** Leaves `.git` out of the workdirs of new jobs; it goes along otherwise, as with SkyPilot. */
  readonly leaveOutGit?: boolean;
  /** Added to the environment of the agent on this machine. */
  readonly localEnv?: Readonly<Record<string, string>>;
  readonly now?: () => number;
}

/** Bounds of logs, on nodes and here. */
export interface LogLimits {
  /** Bytes of one log (of one rank, on its node) that are kept; 0 for no bound. */
  readonly maxBytes: number;
}

const DEFAULT_GRACE_S = 10;
const DEFAULT_LOGS: LogLimits = { maxBytes: 10e9 };
const DAY_MS = 86_400_000;
// How long the close waits for nodes to hear of what was being started.
const FINISH_MS = 400;

/** The one owner of the queue's state: takes requests and node events, stores every change, and tells what changed. */
export class Engine {
  private readonly clusters = new Map<string, ClusterRuntime>();
  /** Clusters of `clusters` that are about to be none any more. */
  private readonly removing = new Set<ClusterRuntime>();
  private readonly neighbours = new Neighbours();
  private readonly groups = new Map<string, Groups>();
  private readonly changes = new Changes((cluster) => this.neighbours.of(cluster));
  private readonly trouble = new Emitter<Error>();
  private readonly history: History;
  private readonly logLimits: LogLimits;
  private readonly logs: JobLogs;
  private readonly placer: MountPlacer;
  private readonly endings: Endings;
  private readonly submissions: Submissions;
  private closing: Promise<void> | undefined;
  private closed = false;

  private constructor(
    private readonly options: EngineOptions,
    private readonly store: Store,
    private readonly secrets: SecretBox,
    private readonly workdirs: Workdirs,
    /** Set when the store had to be repaired at open; for the user to read. */
    readonly repair: RepairReport | undefined,
  ) {
    this.history = new History(options.home, store, options.history, {
      needed: () => this.needed(),
      archived: (jobs) => {
        for (const job of jobs) {
          this.changes.archive(job);
          this.groups.get(job.cluster)?.moved(job, job.status, undefined);
        }
      },
      failed: (error) => this.complain(error),
    });
    this.logLimits = agreedSetting(store, 'logs', options.logs, DEFAULT_LOGS, (error) =>
      this.complain(error),
    );
    this.submissions = new Submissions({
      home: options.home,
      sshConfigFile: options.sshConfigFile,
      leaveOutGit: options.leaveOutGit === true,
      store,
      secrets,
      workdirs,
      now: () => this.now(),
      cluster: (name) => this.cluster(name),
      accepts: (cluster) =>
        this.clusters.get(cluster.definition.name) === cluster && !this.removing.has(cluster),
      groups: (name) => this.groups.get(name),
      job: (cluster, id) => this.job(cluster, id).record,
      touch: (cluster, record) => this.changes.touch(cluster, record),
      complain: (error) => this.complain(error),
    });
    this.endings = new Endings(store, (before, record) => {
      if (this.closed) return;
      this.recount(record);
      this.changed(before, record, record);
    });
    this.placer = new MountPlacer(workdirs, (cluster) => this.storeDefinition(cluster));
    this.logs = new JobLogs({
      home: options.home,
      maxBytes: this.logLimits.maxBytes,
      find: (uuid) => this.found(uuid),
      patch: (record, patch, urgency) => this.patch(record, patch, urgency),
      session: (cluster, node) => this.clusters.get(cluster)?.session(node),
      isSent: ({ cluster, uuid }) => this.clusters.get(cluster)?.isSent(uuid) === true,
      want: (cluster) => this.clusters.get(cluster)?.want(),
      complain: (error) => this.complain(error),
    });
  }

  /** Changes, gathered: listeners are called once for all that happened in one turn. */
  readonly onDidChange = this.changes.on;
  /** What went wrong where nobody waited for an answer, e.g. the disk of the store. */
  readonly onTrouble = this.trouble.on;

  /**
   * Opens the state folder and takes up where the last engine stopped: jobs that were on nodes are asked for there.
   * @throws StoreError when the store cannot be opened
   */
  static async open(options: EngineOptions): Promise<Engine> {
    await makeFolder(options.home, 0o700);
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
    for (const name of engine.clusters.keys()) engine.leaveLaunch(name);
    const live = store.liveJobs();
    await engine.submissions.sweep(live);
    for (const record of live) {
      const cluster = engine.clusters.get(record.cluster);
      engine.groups.get(record.cluster)?.meet(record);
      cluster?.restore(record);
      cluster?.want();
    }
    // Before that, nodes may have removed what they had.
    const since = engine.now() - engine.history.limits.daysOnNodes * DAY_MS;
    for (const record of store.logless(since)) engine.logs.keep(record);
    return engine;
  }

  /** One cluster, or undefined when there is none of that name. */
  view(name: string): ClusterView | undefined {
    const view = this.clusters.get(name)?.view();
    if (!view || this.closed) return view;
    const archived = this.store.archivedCounts().get(name);
    const groups = this.groups.get(name)?.views() ?? [];
    return {
      ...view,
      ...(groups.length > 0 ? { groups } : {}),
      ...(archived === undefined ? {} : { archived }),
    };
  }

  /** All clusters, in the order in which they were added. */
  views(): ClusterView[] {
    return [...this.clusters.keys()].flatMap((name) => this.view(name) ?? []);
  }

  definition(name: string): ClusterDefinition {
    return this.cluster(name).definition;
  }

  /**
   * The newest jobs of a cluster, newest first, and after them those that are older and on nodes. Older ones that wait
   * are not among them: there may be ten thousand.
   */
  jobs(cluster: string, limit = 200): JobView[] {
    const newest = this.store.recentJobs(cluster, limit);
    const last = newest.length < limit ? 0 : (newest.at(-1)?.id ?? 0);
    const older = this.cluster(cluster)
      .onNodes()
      .filter((id) => id < last)
      .sort((a, b) => b - a)
      .flatMap((id) => this.store.job(cluster, id) ?? []);
    const records = [...newest, ...older];
    const groups = this.groups.get(cluster);
    if (records.filter((record) => groups?.meet(record)).length > 0) this.changes.touch(cluster);
    return records.map((record) => this.viewOf(record));
  }

  /** @throws QueueError `no-job` */
  job(cluster: string, id: number): JobView {
    const record = this.store.job(cluster, id);
    if (!record) throw new QueueError('no-job', `${cluster} has no job ${id}`);
    this.cluster(cluster);
    return this.viewOf(record);
  }

  /** As `job`, and looks into the archive for one that is not at hand. @throws QueueError `no-job` */
  async find(cluster: string, id: number): Promise<JobView> {
    this.cluster(cluster);
    const record = this.store.job(cluster, id);
    if (record) return this.viewOf(record);
    const [archived] = (await this.readArchive(cluster, 1, id)).jobs;
    if (!archived) return this.job(cluster, id);
    return { record: archived, archived: true };
  }

  /** Archived jobs of a cluster, newest first. @throws StoreError */
  async archived(cluster: string, limit: number): Promise<JobView[]> {
    this.cluster(cluster);
    const { jobs } = await this.readArchive(cluster, limit);
    return jobs.map((record) => ({ record, archived: true }));
  }

  /** Archives what is old now, instead of within the hour. */
  archive(): Promise<void> {
    return this.history.run();
  }

  private async readArchive(cluster: string, limit: number, id?: number): Promise<{ jobs: JobRecord[] }> {
    const { jobs, damaged } = await this.store.archivedJobs(cluster, limit, id);
    for (const file of damaged)
      this.complain(new Error(`${file} is damaged: the archived jobs in it cannot be shown`));
    return { jobs };
  }

  jobByUuid(uuid: string): JobRecord | undefined {
    return this.store.jobByUuid(uuid);
  }

  /** Adds a cluster and connects to its nodes. @throws QueueError `bad-name`, `cluster-exists` */
  async addCluster(definition: ClusterDefinition): Promise<void> {
    if (!isClusterName(definition.name)) {
      throw new QueueError('bad-name', `"${definition.name}" cannot name a cluster: ${CLUSTER_NAME_RULE}`);
    }
    // Also one that is called so but for the case: their logs would be in one folder on macOS and Windows.
    const alike = (name: string): boolean => name.toLowerCase() === definition.name.toLowerCase();
    const there = this.clusters.has(definition.name)
      ? definition.name
      : [...this.clusters.keys()].find(alike);
    if (there !== undefined) throw new QueueError('cluster-exists', `there is a cluster ${there} already`);
    // Known from here on: another request for the same name in the meantime must not make it twice.
    const runtime = this.addRuntime(definition);
    try {
      await this.store.putCluster({ name: definition.name, definition: JSON.stringify(definition) });
    } catch (error) {
      runtime.close();
      this.forget(definition.name);
      throw error;
    }
    runtime.want();
    this.changes.touch(definition.name);
  }

  /**
   * Makes sure that there is a cluster `name` which is this machine itself; its declared GPUs are those given, where
   * none are found. @throws QueueError `cluster-busy` when they are others while jobs run there
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

  /**
   * Adds, removes and drains nodes of a cluster; resolves when that is stored, and those that are drained and can be reached
   * have given back what waited there.
   * @throws QueueError `cluster-busy` while a job is on a node that is to go, `refused` when none would be left
   */
  async changeNodes(name: string, change: NodesChange): Promise<void> {
    const cluster = this.cluster(name);
    await cluster.changeNodes(change);
    await this.storeDefinition(cluster);
    await cluster.givenBack(change.drain ?? []);
  }

  /**
   * Takes a cluster down, which has no job any more; its nodes keep nothing running. It takes no job from when this is called.
   * @throws QueueError `cluster-busy` while jobs are alive, `no-cluster`
   */
  async removeCluster(name: string): Promise<void> {
    const cluster = this.cluster(name);
    if (this.removing.has(cluster)) throw new QueueError('no-cluster', `${name} is being taken down already`);
    if (cluster.liveJobs > 0)
      throw new QueueError(
        'cluster-busy',
        `${name} has ${cluster.liveJobs} jobs that wait or run: cancel them first`,
      );
    const jobs = this.store.recentJobs(name, Number.MAX_SAFE_INTEGER);
    this.removing.add(cluster);
    try {
      await this.store.removeCluster(name);
      this.forget(name);
    } finally {
      this.removing.delete(cluster);
    }
    this.changes.touch(name);
    await cluster.leave(jobs);
    cluster.close();
  }

  /**
   * Queues a task; resolves with the job's record once it is on disk.
   * @throws QueueError `refused` when the cluster can never run it, `missing-values`, `workdir`, `no-cluster`
   * @throws StoreError when the disk says no; then there is no job
   */
  async submit(task: Task, options: SubmitOptions): Promise<JobRecord> {
    return this.submissions.submit(task, options);
  }

  /**
   * Queues a task once for each variant, all or none, as one group; resolves with its first job once all are on disk.
   * @throws as `submit`; QueueError `refused` for more than MOST_VARIANTS
   */
  async submitGroup(task: Task, variants: readonly Variant[], options: SubmitOptions): Promise<JobRecord> {
    return this.submissions.submitGroup(task, variants, options);
  }

  /**
   * Puts a local file or folder on every node of a cluster that can be reached, or with `missing` on those that do not have
   * it as it is now; what is there already is replaced file by file. `destination` is absolute, begins with `~/`, or is taken
   * from the home. A source such as `s3://…` is fetched by a tool of the node.
   * @throws QueueError `workdir` when the source cannot be read; Error with a node's words, when all nodes were tried
   */
  mount(cluster: string, mount: Mount, options: MountOptions = {}): Promise<void> {
    return this.placer.place(this.cluster(cluster), mount, options);
  }

  /** Those mounts that nodes of a cluster do not have as they are now; what cannot be read is passed over. */
  staleMounts(cluster: string, mounts: readonly Mount[]): Promise<StaleMount[]> {
    return this.placer.stale(this.cluster(cluster).definition, mounts);
  }

  /**
   * Notes which step of a launch is under way or failed; undefined: it is done, but for a setup that has failed by then.
   * Resolves when that is stored.
   */
  async noteLaunch(cluster: string, step: LaunchStep | undefined): Promise<void> {
    const runtime = this.cluster(cluster);
    runtime.noteLaunch((launch) => atStep(launch, step));
    await this.storeDefinition(runtime);
  }

  /**
   * Whoever was at the launch of a cluster has gone: unless its jobs are queued, the cluster says from now on that it was
   * broken off. A launcher that is still there, and only lost sight of this engine, says so anew.
   */
  leaveLaunch(cluster: string): void {
    const step = this.clusters.get(cluster)?.definition.launch?.step;
    if (!step || step.message !== undefined) return;
    const last = step.jobs?.run ?? step.jobs?.setup;
    const queued = last !== undefined && this.store.jobByUuid(last) !== undefined;
    const message = 'it was broken off: the window or command that was at it has closed';
    this.persist(this.noteLaunch(cluster, queued ? undefined : { ...step, message }));
  }

  private async storeDefinition({ definition }: ClusterRuntime): Promise<void> {
    this.changes.touch(definition.name);
    await this.store.putCluster({ name: definition.name, definition: JSON.stringify(definition) });
  }

  /**
   * Downloads files from a job's working directory on its nodes, while it runs or after it ended.
   * @throws QueueError `outputs`, `no-job`; the signal's reason
   */
  async fetch(request: FetchRequest, watcher: FetchWatcher): Promise<Received> {
    checkPatterns(request.patterns);
    const { record } = await this.find(request.cluster, request.id);
    const runtime = this.cluster(request.cluster);
    const exec = async (node: string, command: string): Promise<Channel> => {
      await reached(runtime, node, this.onDidChange, watcher.signal);
      return runtime.exec(node, command);
    };
    return fetchOutputs(record, request, exec, watcher);
  }

  /**
   * Has every node of a cluster resume what is staged there when its machine has started, also with no client; or not any
   * more. Says of each node what came of it.
   */
  resumeAtBoot(name: string, on: boolean): Promise<NodeAtBoot[]> {
    const cluster = this.cluster(name);
    return Promise.all(
      cluster.definition.nodes.map(async ({ name: node }): Promise<NodeAtBoot> => {
        try {
          await reached(cluster, node, this.onDidChange);
          const session = cluster.session(node);
          if (!session) return { node, trouble: 'the connection is gone' };
          return { node, way: await session.atBoot(on ? 'on' : 'off') };
        } catch (error) {
          return { node, trouble: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
  }

  /** Queues a job once more, as it was: the same text, values and demand, on its cluster. @throws as `submit` */
  async runAgain(cluster: string, id: number, user: string, uuid?: string): Promise<JobRecord> {
    return this.submissions.runAgain(cluster, id, user, uuid);
  }

  /**
   * Changes a waiting job's place in the queue, or holds it; of a group, that of all that still wait.
   * @throws QueueError `not-waiting`, `no-job`
   */
  async reorder(cluster: string, id: number | { readonly group: number }, change: Reorder): Promise<void> {
    const runtime = this.cluster(cluster);
    const waiting =
      typeof id === 'number'
        ? [this.job(cluster, id).record]
        : this.liveOfGroup(cluster, id.group).filter(({ status }) => status === 'PENDING');
    const [started] = await runtime.reorder(waiting, change);
    if (started && typeof id === 'number' && change.held === true)
      throw new QueueError('not-waiting', `job ${id} does not wait any more`);
  }

  /** The jobs of a group that have not ended; `id`: the number of any of its jobs. @throws QueueError `no-job` */
  private liveOfGroup(cluster: string, id: number): JobRecord[] {
    const live = this.store.liveJobs().filter((record) => record.cluster === cluster && record.group);
    const group =
      live.find((record) => record.id === id)?.group ?? live.find((one) => one.group?.id === id)?.group;
    if (group) return live.filter((record) => record.group?.id === group.id);
    if (!this.job(cluster, id).record.group)
      throw new QueueError(
        'no-job',
        `job ${id} of ${cluster} is not one of several that were submitted together`,
      );
    const first = this.job(cluster, id).record.group?.id;
    return live.filter((record) => record.group?.id === first);
  }

  /**
   * Begins to cancel jobs and returns those that were alive. When it resolves, those that wait are cancelled, but for such
   * as nodes may start that cannot be reached, and all of it is on disk.
   * @throws StoreError when the disk says no; jobs end all the same, and that is stored as soon as it can be
   */
  async cancel(cluster: string, ids: JobsOf | 'all'): Promise<JobRecord[]> {
    const runtime = this.cluster(cluster);
    const records =
      ids === 'all'
        ? this.store.liveJobs().filter((record) => record.cluster === cluster)
        : 'group' in ids
          ? this.liveOfGroup(cluster, ids.group)
          : ids.map((id) => this.job(cluster, id).record);
    const live = records.filter(({ status }) => !isFinished(status));
    const durable = runtime.cancel(live);
    // Waited for below.
    durable.catch(() => undefined);
    const leaving = (): boolean => live.some(({ uuid }) => runtime.isLeaving(uuid));
    if (leaving()) {
      await new Promise<void>((resolve) => {
        const stop = this.onDidChange(() => {
          if (leaving() && !this.closed) return;
          stop();
          resolve();
        });
      });
    }
    await durable;
    await Promise.all(live.map(({ uuid }) => this.endings.durable(uuid)));
    return live;
  }

  /** Connects to a cluster's nodes, without waiting; shows at once what is known. */
  connect(cluster: string): void {
    this.cluster(cluster).want();
  }

  /** Looks at every node of a cluster afresh. */
  async refresh(cluster: string): Promise<void> {
    await this.cluster(cluster).refresh();
    this.changes.touch(cluster);
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
    return this.logs.hold(this.job(cluster, id).record);
  }

  /** Where a job's log is mirrored. */
  logFile(record: JobRecord): string {
    return this.logs.file(record);
  }

  /** Stops; jobs go on, and the next engine takes up from the store. */
  close(): Promise<void> {
    return (this.closing ??= this.closeDown());
  }

  private async closeDown(): Promise<void> {
    await Promise.all([...this.clusters.values()].map((cluster) => cluster.finishStarts(FINISH_MS)));
    this.closed = true;
    this.changes.close();
    this.logs.stopKeeping();
    for (const cluster of this.clusters.values()) cluster.close();
    await this.history.close();
    await this.logs.close();
    await this.endings.close();
    await this.store.close();
  }

  /** Why a job does not run yet, or what is wrong though it runs; undefined for any other. */
  reason(record: JobRecord): PendingReason | undefined {
    return isFinished(record.status) ? undefined : this.clusters.get(record.cluster)?.reason(record);
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
      store: this.store.id,
      graceS: this.options.graceS ?? DEFAULT_GRACE_S,
      logLimit: this.logLimits.maxBytes,
      now: () => this.now(),
      connect: (node, signal) => this.transport(node, signal),
      canAsk: () => this.options.prompter?.isThere?.() ?? this.options.prompter !== undefined,
      // What a node still says while the queue is closed changes nothing any more.
      find: (uuid) => this.found(uuid),
      patch: (record, patch, urgency) => this.patch(record, patch, urgency),
      redefine: (changed) =>
        this.persist(this.store.putCluster({ name, definition: JSON.stringify(changed) })),
      secrets: (record) =>
        record.sealedSecrets === undefined ? {} : this.secrets.open(record.sealedSecrets),
      prepare: async (record, session, exec, watcher) => {
        const { snapshot } = record.spec;
        if (snapshot !== undefined) await this.workdirs.send(snapshot, session, exec, watcher);
      },
      elsewhere: (machine, lease) => {
        for (const other of this.neighbours.of(name)) {
          const found = this.clusters.get(other)?.holds(machine, lease);
          if (found) return found;
        }
        return undefined;
      },
      changed: (record) => this.changes.touch(name, record),
      attached: (node, session) => {
        this.neighbours.met(name, session.node);
        this.logs.attach(node, session);
        session.sweep(this.history.limits.daysOnNodes).catch(() => undefined);
      },
      detached: (node) => this.logs.detach(node),
      sent: (record) => this.logs.sent(record),
    };
    const runtime = new ClusterRuntime(definition, host);
    this.clusters.set(name, runtime);
    this.groups.set(name, new Groups((first, size) => this.store.statuses(name, first, size)));
    return runtime;
  }

  private forget(cluster: string): void {
    this.clusters.delete(cluster);
    this.neighbours.forget(cluster);
    this.groups.delete(cluster);
  }

  private transport(node: NodeDefinition, signal: AbortSignal): Promise<Transport> {
    if (node.destination === undefined)
      return Promise.resolve(new LocalTransport(node.name, this.options.localEnv));
    return SshTransport.connect(
      node.destination,
      {
        configFile: this.options.sshConfigFile,
        prompter: this.options.prompter,
        login: node.login && loginOf(node.login, node.destination),
      },
      signal,
    );
  }

  private patch(before: JobRecord, patch: JobPatch, urgency?: Urgency): Promise<void> {
    const record = { ...before, ...patch };
    const durable =
      patch.status !== undefined && isFinished(patch.status)
        ? this.endings.write(record, patch, urgency)
        : this.store.updateJob(before.uuid, patch, urgency);
    if (patch.status) this.groups.get(before.cluster)?.moved(before, before.status, patch.status);
    durable.catch((error: unknown) => {
      // What was under way when the queue was closed is nobody's trouble: nothing is sent before it is stored.
      if (this.closed) return;
      // It was taken back in memory, with all that came after it.
      this.recount(before);
      this.complain(error);
    });
    this.changed(before, record, patch);
    return durable;
  }

  private recount({ cluster, group }: JobRecord): void {
    if (group) this.groups.get(cluster)?.recount(group);
  }

  private changed(before: JobRecord, record: JobRecord, patch: JobPatch): void {
    this.changes.touch(record.cluster, record);
    this.logs.changed(before, record, patch);
  }

  private found(uuid: string): JobRecord | undefined {
    return this.closed ? undefined : this.store.jobByUuid(uuid);
  }

  private needed(): Set<string> {
    const after = this.store.liveJobs().flatMap((record) => record.after ?? []);
    return new Set([...this.logs.needed, ...after]);
  }

  private persist(durable: Promise<void>): void {
    durable.catch((error: unknown) => {
      // A look at a node that came to its end as the queue was closed: the next one looks again.
      if (!this.closed) this.complain(error);
    });
  }

  private complain(error: unknown): void {
    this.trouble.fire(error instanceof Error ? error : new Error(String(error)));
  }

  private now(): number {
    return this.options.now?.() ?? Date.now();
  }
}
