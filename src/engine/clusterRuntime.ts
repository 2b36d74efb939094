import type { ClusterDefinition, LaunchState, NodeDefinition, NodesChange } from '../cluster';
import type { AgentSession, NodeEvent, NodeJobState, Taken } from '../node';
import { isFinished, Scheduler, type JobRecord, type PendingReason, type Placement } from '../queue';
import type { Urgency } from '../store';
import type { Channel, Transport } from '../transport';
import { Blames } from './blames';
import { ClusterNodes, type Elsewhere } from './clusterNodes';
import { clusterView } from './clusterView';
import { rankEnvironment, stagedEnvironment } from './environment';
import { QueueError } from './errors';
import { Gathering } from './gathering';
import { JobRun, rankUuid, type JobPatch, type RunHost } from './jobRun';
import { afterSetup } from './launchNotes';
import { NodeChanges } from './nodeChanges';
import type { LinkState } from './nodeLink';
import { rankLeases, rankUse } from './rankUse';
import { isStageable, Staging } from './staging';
import { SyncNotes } from './syncNotes';
import type { ClusterView, Reorder } from './views';
import { schedulerJob, WaitingJobs } from './waitingJobs';
import type { SyncWatcher } from './workdirs';

/** What a cluster at work needs from the engine around it. */
export interface ClusterHost {
  /** Names the queue that the cluster belongs to, for as long as its store is there. */
  readonly store: string;
  connect(node: NodeDefinition, signal: AbortSignal): Promise<Transport>;
  /** Whether a person can be asked for what a login wants. */
  canAsk(): boolean;
  /** A job of this cluster, whatever became of it. */
  find(uuid: string): JobRecord | undefined;
  /** Stores a change of a job; resolves when durable. */
  patch(record: JobRecord, patch: JobPatch, urgency?: Urgency): Promise<void>;
  /** What another cluster of this queue does with a device; `machine` is the node's own name for itself. */
  elsewhere(machine: string, lease: string): Elsewhere | undefined;
  /** The nodes' inventories changed. */
  redefine(definition: ClusterDefinition): void;
  secrets(record: JobRecord): Record<string, string>;
  /** Brings the files a job needs to a node, by commands of its own on the same connection. */
  prepare(
    record: JobRecord,
    session: AgentSession,
    exec: (command: string) => Promise<Channel>,
    watcher: SyncWatcher,
  ): Promise<void>;
  /** Something a view shows has changed; with a job, that job. */
  changed(record?: JobRecord): void;
  /** A node of this cluster got a session, or lost it. */
  attached(node: string, session: AgentSession): void;
  /** A rank of a job is on its way to its node. */
  sent(record: JobRecord): void;
  detached(node: string): void;
  readonly graceS: number;
  /** Bytes that a node keeps of one log; 0 for no bound. */
  readonly logLimit: number;
  now(): number;
}

// Ends are pushed; but a supervisor that somebody kills pushes nothing, nor does a stranger who lets go of a GPU.
const CHECK_MS = 30_000;
// How soon a dispatch is tried again that the store could not take.
const STORE_RETRY_MS = 2_000;

// So long after a refusal the close waits for jobs on their way to nodes, the refused one among them.
const REFUSED_MS = 1_000;
// How soon it is looked again whether a node has answered.
const ANSWER_MS = 20;
// How often a device that another queue has is asked for again while a job waits for it: by this queue, when only it can
// start what waits; else the nodes themselves ask, every second.
const BUSY_RETRY_MS = 2_000;
const BUSY_STAGED_MS = 30_000;

function gpuWords(virtual: NodeDefinition['virtual']): string {
  return virtual === undefined ? 'those that are found' : `${virtual.name}:${virtual.count}`;
}

/** One cluster at work: what waits, what is on nodes, and how the one becomes the other. */
export class ClusterRuntime {
  private readonly scheduler = new Scheduler();
  private readonly nodes: ClusterNodes;
  private readonly nodeChanges: NodeChanges;
  private readonly waiting: WaitingJobs;
  private readonly runs = new Map<string, JobRun>();
  private readonly syncs = new SyncNotes();
  private readonly staging: Staging;
  private readonly gathering: Gathering;
  /** Staged jobs that the scheduler wants to start, while their nodes are asked for them. */
  private readonly starting = new Map<string, Placement>();
  /** Launches on their way to nodes. */
  private readonly launches = new Set<Promise<void>>();
  /** By node, how many ranks are on their way there. */
  private readonly arriving = new Map<string, number>();
  private readonly blames = new Blames();
  private leaving = false;
  /** When a launch was last refused, whose job is to be staged again; ms since 1970. */
  private refusedAt = 0;
  private readonly runHost: RunHost;
  private readonly check = setInterval(() => this.lookAround(), CHECK_MS);
  private closed = false;

  constructor(
    definition: ClusterDefinition,
    private readonly host: ClusterHost,
  ) {
    this.runHost = this.makeRunHost();
    this.staging = this.makeStaging();
    this.waiting = new WaitingJobs(this.scheduler, {
      find: (uuid) => host.find(uuid),
      patch: (record, patch) => host.patch(record, patch),
      isStaged: (uuid) => this.staging.has(uuid),
      recall: (uuid) => this.staging.recall(uuid),
      drop: (uuid) => this.drop(uuid),
      requeued: () => this.staging.requeued(),
      now: () => host.now(),
    });
    this.gathering = new Gathering({
      isReaching: () => this.nodes.isGathering,
      waiting: () => this.waiting.inOrder(),
      later: (ms) => this.nodes.later(ms, () => undefined),
      now: () => host.now(),
    });
    this.nodes = new ClusterNodes(definition, this.scheduler, {
      owner: `${host.store}/${definition.name}`,
      connect: (node, signal) => host.connect(node, signal),
      canAsk: () => host.canAsk(),
      logLimit: host.logLimit,
      reconcile: (node, session) => this.reconcile(node, session),
      event: (node, event) => this.event(node, event),
      attached: (node, session) => host.attached(node, session),
      detached: (node) => {
        this.staging.detached(node);
        for (const run of this.runs.values()) run.detached(node);
        host.detached(node);
      },
      elsewhere: (machine, lease) => host.elsewhere(machine, lease),
      redefine: (changed) => host.redefine(changed),
      changed: () => {
        this.pump();
        host.changed();
      },
    });
    this.nodeChanges = new NodeChanges({
      nodes: this.nodes,
      staging: this.staging,
      runs: () => this.runs.values(),
    });
  }

  get definition(): ClusterDefinition {
    return this.nodes.definition;
  }

  /** Remembers what a launch did; the caller stores the definition. */
  noteLaunch(change: (before: LaunchState) => LaunchState): void {
    this.nodes.definition = { ...this.definition, launch: change(this.definition.launch ?? {}) };
  }

  /** Takes back a job from the store after a restart. */
  restore(record: JobRecord): void {
    if (record.placement && record.status !== 'PENDING') {
      this.scheduler.adopt(schedulerJob(record), record.placement);
      this.runs.set(record.uuid, new JobRun(record, record.placement, this.runHost));
    } else {
      this.staging.restore(record);
      this.waiting.add(record);
      const [node] = record.staged?.nodes ?? [];
      // Its nodes were removed: nobody can be asked.
      if (node !== undefined && !record.staged?.nodes.some((name) => this.nodes.find(name)))
        this.staging.abandon(node);
    }
  }

  /** Why this demand can never be met; undefined also while a node's inventory is not known yet. */
  refusal(demand: JobRecord['demand']): string | undefined {
    if (this.definition.nodes.some(({ inventory }) => !inventory)) return undefined;
    const refusal = this.scheduler.refusal(demand);
    return refusal && `${refusal}${this.nodesNote()}`;
  }

  /** Names nodes that do not count, or not with the GPUs they may have, to be put behind what is said of those that do. */
  private nodesNote(): string {
    const notes = this.definition.nodes.flatMap(({ name, inventory }) => {
      const first = this.nodes.twinOf(name);
      if (first !== undefined) return [`${name} is the same machine as ${first}`];
      const trouble = this.nodes.about(name)?.gpuTrouble;
      return trouble === undefined || inventory?.devices.length !== 0 ? [] : [`${name}: ${trouble}`];
    });
    return notes.length === 0 ? '' : ` (${notes.join(', ')})`;
  }

  /** Changes the GPUs that a node is said to have where none are found. @throws QueueError `cluster-busy` while jobs run */
  async declare(name: string, virtual: NodeDefinition['virtual']): Promise<void> {
    const before = this.nodes.find(name)?.virtual;
    if (this.runs.size > 0 && JSON.stringify(before) !== JSON.stringify(virtual))
      throw new QueueError(
        'cluster-busy',
        `${this.definition.name} keeps ${gpuWords(before)}: its GPUs cannot be changed to ${gpuWords(virtual)} while jobs run on it (is the setting clusterQueue.local.virtualGpus another one in another window?)`,
      );
    return this.nodes.declare(name, virtual);
  }

  /**
   * Adds, removes and drains nodes; the caller stores the definition. What was staged on nodes that go is taken back first;
   * of a node that cannot be reached it is given up. @throws QueueError `cluster-busy`
   */
  async changeNodes(change: NodesChange): Promise<void> {
    return this.nodeChanges.make(change);
  }

  /** Resolves when no job is staged on these nodes any more, as far as they can be reached. */
  async givenBack(nodes: readonly string[]): Promise<void> {
    await Promise.all(nodes.map((node) => this.staging.returned(node)));
  }

  /** New jobs. They may be placed at once; nothing is sent before records and placements are durable. */
  submit(records: readonly JobRecord[]): void {
    for (const record of records) this.waiting.add(record);
    this.want();
    this.pump();
  }

  /**
   * Changes waiting jobs' places; resolves when that is stored, and the nodes that can be reached go by it, with those that
   * nodes have started just then. @throws QueueError `not-waiting`, `no-job`
   */
  async reorder(records: readonly JobRecord[], change: Reorder): Promise<readonly JobRecord[]> {
    const durable = records.map((record) => this.waiting.reorder(record, change));
    this.pump();
    await Promise.all([...durable, this.staging.told(records.map(({ uuid }) => uuid))]);
    return records.filter(({ uuid }) => !this.waiting.get(uuid));
  }

  /** Takes back a job that could not be stored. */
  withdraw(record: JobRecord): void {
    if (this.waiting.take(record.uuid)) this.scheduler.remove(record.uuid);
    this.staging.requeued();
  }

  /** Whether all that a job's nodes are asked now reaches them after its launch. */
  isSent(uuid: string): boolean {
    const run = this.runs.get(uuid);
    return run?.ranks.every((_rank, index) => run.isSent(index)) === true;
  }

  /** Whether a job that is cancelled waits only for the word of nodes that can be reached. */
  isLeaving(uuid: string): boolean {
    return this.waiting.get(uuid)?.cancelling === true && this.staging.isReached(uuid);
  }

  /** Begins to end jobs, whatever they do; resolves when it is stored that they are to. */
  async cancel(records: readonly JobRecord[]): Promise<void> {
    const runs = records.flatMap(({ uuid }) => this.runs.get(uuid) ?? []);
    // Those that wait go first: a node would start them when one of the others ends.
    const waited = records.flatMap(({ uuid }) =>
      this.runs.has(uuid) ? [] : (this.waiting.cancel(uuid) ?? []),
    );
    this.staging.flushRecalls();
    const durable = runs.map((run) => {
      const stored = this.update(run, { cancelling: true });
      run.cancel();
      return stored;
    });
    if (waited.length > 0) this.pump();
    await Promise.all([...waited, ...durable]);
  }

  /** Connects to all nodes that are not; with `now`, at once also those that wait for their next try. */
  want(now = false): void {
    this.nodes.want(now);
  }

  /** Looks at every node again; resolves when those that answer have. */
  async refresh(): Promise<void> {
    this.nodes.want(true);
    this.nodes.tryAgain();
    await Promise.all(
      this.nodes.open().map(async ({ node, session }) => {
        await this.nodes.probe(node, session).catch(() => undefined);
        await this.reconcile(node, session).catch(() => undefined);
      }),
    );
  }

  /** Why a job waits, for its turn, or dispatched for its files; or what is wrong though it runs; undefined otherwise. */
  reason(record: JobRecord): PendingReason | undefined {
    if (record.status === 'RUNNING') return this.trouble(record);
    if (record.status === 'SETTING_UP') return this.syncs.reason(record.uuid);
    if (this.starting.has(record.uuid)) return { kind: 'starting', text: 'starts next', position: 1 };
    const reason = this.waiting.reason(record.uuid, this.nodes.words());
    const where = this.staging.words(record.uuid) ?? this.syncs.reason(record.uuid)?.text;
    if (!reason) return undefined;
    const note = reason.kind === 'never' ? this.nodesNote() : '';
    const alone = this.staging.isStaged(record.uuid) ? true : isStageable(record) ? undefined : false;
    return {
      ...reason,
      ...(alone === undefined ? {} : { alone }),
      text: `${reason.text}${note}${where === undefined ? '' : `; ${where}`}`,
    };
  }

  private trouble({ uuid, placement }: JobRecord): PendingReason | undefined {
    const text = this.nodes.away(placement) ?? this.runs.get(uuid)?.trouble;
    return text === undefined ? undefined : { kind: 'trouble', text, position: 0 };
  }

  /** The open session of a node, for those who follow logs. */
  session(node: string): AgentSession | undefined {
    return this.nodes.session(node);
  }

  /** Runs a command on a node beside its session. @throws ConnectError */
  exec(node: string, command: string): Promise<Channel> {
    return this.nodes.exec(node, command);
  }

  /** Whether a node can be talked to, or what became of the last try. */
  linkState(node: string): LinkState {
    return this.nodes.linkState(node);
  }

  /** All open sessions, each with a way to run a command beside it. */
  sessions(): { node: string; session: AgentSession; exec: (command: string) => Promise<Channel> }[] {
    return this.nodes.open();
  }

  get liveJobs(): number {
    return this.runs.size + this.waiting.size;
  }

  view(): ClusterView {
    const labels = new Map<string, string>();
    for (const { record } of this.runs.values()) labels.set(record.uuid, `job ${record.id}`);
    return clusterView(this.nodes, this.scheduler, {
      labels,
      pending: this.waiting.size,
      staged: this.staging.size,
      running: this.runs.size,
    });
  }

  /** Numbers of the jobs that are on nodes. */
  onNodes(): number[] {
    return [...this.runs.values()].map(({ record }) => record.id);
  }

  /** Takes along what these jobs, and then the agent, left on the nodes that can be reached. Never rejects. */
  leave(records: readonly JobRecord[]): Promise<void> {
    return this.nodeChanges.leave(records);
  }

  /**
   * Starts nothing more, and resolves when what was being started has begun, or is staged (again), so that the nodes go on with
   * it: a job that was taken back to be started, or is on its way, would wait for the next engine. After at most so many ms.
   */
  async finishStarts(limitMs: number): Promise<void> {
    this.leaving = true;
    const end = Date.now() + limitMs;
    const busy = (): boolean =>
      this.starting.size > 0 ||
      this.launches.size > 0 ||
      (this.staging.isSending && this.host.now() - this.refusedAt < REFUSED_MS) ||
      [...this.runs.values()].some(({ isStarting }) => isStarting);
    while (busy() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  }

  close(): void {
    this.closed = true;
    clearInterval(this.check);
    this.staging.close();
    this.nodes.close();
  }

  /** Which of this cluster's jobs have the device with this lease, for another cluster with the same machine. */
  holds(machine: string, lease: string): Elsewhere | undefined {
    const found = this.nodes.device(machine, lease);
    const device =
      found && this.scheduler.usage(found.node).devices.find(({ index }) => index === found.index);
    if (!device || device.jobs.length === 0) return undefined;
    const ids = device.jobs.map((uuid) => this.runs.get(uuid)?.record.id ?? '?');
    const jobs = ids.length === 1 ? 'job' : 'jobs';
    return { by: `${jobs} ${ids.join(', ')} of cluster ${this.definition.name}`, free: device.free };
  }

  private lookAround(): void {
    for (const { node, session, up } of this.nodes.open()) {
      if (up) this.reconcile(node, session).catch(() => undefined);
    }
    this.nodes.lookAgain();
  }

  private async reconcile(node: string, session: AgentSession): Promise<void> {
    const ranks = [...this.runs.values()].flatMap((run) =>
      run.on(node).map((rank) => ({ run, rank, uuid: rankUuid(run.record.uuid, rank) })),
    );
    const states = await session.query(ranks.map(({ uuid }) => uuid));
    for (const { run, rank, uuid } of ranks) {
      const state = states.get(uuid);
      if (state) run.reconcile(rank, state);
    }
    await this.staging.reconcile(node, session);
    this.pump();
  }

  private event(node: string, event: NodeEvent): void {
    if (event.kind === 'taken') this.tookStaged(node, event.uuid, event.taken);
    // Before the end itself: nobody else may get what the node has given on.
    if (event.kind === 'ended') for (const { uuid, taken } of event.next) this.tookStaged(node, uuid, taken);
    const dash = event.uuid.lastIndexOf('-');
    const run = this.runs.get(event.uuid.slice(0, dash));
    const rank = Number(event.uuid.slice(dash + 1));
    if (run && run.ranks[rank]?.node === node) run.event(rank, event);
    this.pump();
  }

  /** Dispatches whatever may start. */
  private pump(): void {
    if (this.closed) return;
    const gathers = this.gathering.look();
    for (const { id, placement } of this.leaving || gathers ? [] : this.scheduler.takeStarts()) {
      if (this.staging.has(id)) {
        this.starting.set(id, placement);
        this.staging.recall(id);
      } else this.dispatch(id, placement);
    }
    this.staging.plan();
  }

  private dispatch(id: string, placement: Placement): void {
    const record = this.waiting.take(id);
    if (!record) return;
    // Others may come after it, which can be staged where it runs.
    this.staging.requeued();
    const run = new JobRun(record, placement, this.runHost);
    this.runs.set(id, run);
    const arrived = placement.ranks.map(({ node }) => this.sending(node));
    // Durable before it is sent: after a crash the job is asked for where it may have been started.
    const launch = this.update(run, { status: 'SETTING_UP', placement }).then(
      () => {
        const launched = run.launch();
        // Each rank that is sent counts by itself now.
        for (const tell of arrived) tell();
        return launched;
      },
      () => {
        for (const tell of arrived) tell();
        this.giveBack(run);
      },
    );
    this.launches.add(launch);
    void launch.finally(() => this.launches.delete(launch));
  }

  /** A rank is on its way to a node, which is not told yet that its devices are given away. Returns how to say that it is. */
  private sending(node: string): () => void {
    this.arriving.set(node, (this.arriving.get(node) ?? 0) + 1);
    let told = false;
    return () => {
      if (told) return;
      told = true;
      const left = (this.arriving.get(node) ?? 0) - 1;
      if (left > 0) {
        this.arriving.set(node, left);
        return;
      }
      this.arriving.delete(node);
      this.staging.plan();
    };
  }

  /** Ends what the scheduler knows of a job that was to be started, or waits. */
  private drop(uuid: string): void {
    if (this.starting.delete(uuid)) this.scheduler.release(uuid);
    else this.scheduler.remove(uuid);
  }

  /** No node has a staged job any more. */
  private recalled(uuid: string): void {
    const ended = this.waiting.recalled(uuid);
    const placement = this.starting.get(uuid);
    if (placement) {
      this.starting.delete(uuid);
      // Held by its user while it was asked for.
      if (this.waiting.get(uuid)?.held === true) this.scheduler.requeue(uuid);
      else this.dispatch(uuid, placement);
    }
    if (ended) this.pump();
  }

  private tookStaged(node: string, uuid: string, taken: Taken): void {
    const job = uuid.slice(0, uuid.lastIndexOf('-'));
    this.staging.taken(job, node, { state: 'waiting', try: 1, taken });
  }

  /** A node has started a staged job, on devices of its own choice. */
  private taken(uuid: string, node: string, state: NodeJobState): void {
    const record = this.waiting.get(uuid);
    if (!record) return;
    this.drop(uuid);
    this.waiting.take(uuid);
    const { devices, alternative } = state.taken ?? { devices: [], alternative: 0 };
    const placement = { ranks: [{ node, devices }], alternative };
    this.nodes.setIdle(node, devices);
    this.scheduler.adopt(schedulerJob(record), placement);
    const run = new JobRun(record, placement, this.runHost);
    this.runs.set(uuid, run);
    const patch: JobPatch = { status: 'SETTING_UP', placement, staged: undefined };
    void this.update(run, patch, 'soon').catch(() => undefined);
    run.reconcile(0, state);
  }

  /** What a node could not be asked for is not started elsewhere. */
  private reached(uuid: string, reached: boolean): void {
    if (!reached && this.starting.delete(uuid)) this.scheduler.requeue(uuid);
    this.waiting.setReached(uuid, reached);
    if (reached) this.pump();
  }

  /** The store could not take the placement: the job waits on as if nothing had been. */
  private giveBack(run: JobRun): void {
    if (!this.runs.delete(run.record.uuid)) return;
    const record: JobRecord = { ...run.record, status: 'PENDING', placement: undefined };
    this.waiting.putBack(record);
    this.scheduler.requeue(record.uuid);
    this.host.changed(record);
    this.nodes.later(STORE_RETRY_MS, () => undefined);
  }

  private update(run: JobRun, patch: JobPatch, urgency?: Urgency): Promise<void> {
    const before = run.record;
    run.record = { ...before, ...patch };
    const durable = this.host.patch(before, patch, urgency);
    if (isFinished(run.record.status)) this.waiting.settled(run.record);
    if (run.record.spec.phase === 'setup') this.noteSetup(run.record);
    return durable;
  }

  private noteSetup(record: JobRecord): void {
    const launch = afterSetup(this.definition.launch ?? {}, record);
    if (!launch) return;
    this.noteLaunch(() => launch);
    this.host.redefine(this.definition);
  }

  private makeStaging(): Staging {
    const { host } = this;
    return new Staging({
      graceS: host.graceS,
      definition: () => this.definition,
      open: () => this.nodes.open(),
      waiting: () => this.waiting.inOrder(),
      find: (uuid) => this.waiting.get(uuid),
      isKnown: (uuid) => host.find(uuid)?.cluster === this.definition.name,
      unfinished: (uuid) => this.waiting.unfinished(uuid),
      nodeOf: (uuid) => {
        const ranks = this.runs.get(uuid)?.placement.ranks ?? [];
        return ranks.length === 1 ? ranks[0]?.node : undefined;
      },
      load: (node) => this.load(node),
      closed: (node) => this.nodes.linkState(node).state !== 'up' || this.nodes.find(node)?.draining === true,
      arriving: (node) => this.arriving.has(node) || this.gathering.isOn,
      environment: (record) => stagedEnvironment(record, host.secrets(record)),
      prepare: (record, node, session, signal) => this.prepare(record, node, session, signal),
      store: (uuid, staged) => this.waiting.stage(uuid, staged),
      recalled: (uuid) => this.recalled(uuid),
      abandoned: (uuid, words) => this.waiting.giveUp(uuid, words),
      taken: (uuid, node, state) => this.taken(uuid, node, state),
      reached: (uuid, reached) => this.reached(uuid, reached),
      blame: (uuid, node, error) => this.blame(uuid, node, error),
      isPaused: (uuid) => this.waiting.isPaused(uuid),
      changed: () => host.changed(),
    });
  }

  private load(node: string): number {
    const { devices, cpus } = this.scheduler.usage(node);
    const used = devices.reduce((sum, { jobs }) => sum + (jobs.length > 0 ? 1 : 0), 0);
    return devices.length > 0 ? used / devices.length : 1 - cpus.free / Math.max(1, cpus.total);
  }

  private makeRunHost(): RunHost {
    return {
      graceS: this.host.graceS,
      now: () => this.host.now(),
      session: (node) => this.session(node),
      environment: (run, rank) =>
        rankEnvironment(run.record, run.placement, rank, this.definition, this.host.secrets(run.record)),
      prepare: (run, node, session, signal) => this.prepare(run.record, node, session, signal),
      sending: (node) => this.sending(node),
      sent: (run) => this.host.sent(run.record),
      leases: (run, rank) => this.leases(run, rank),
      use: ({ record, placement }, rank) => rankUse(record.demand, placement, rank),
      update: (run, patch, urgency) => this.update(run, patch, urgency),
      released: (run, rank) => this.scheduler.release(run.record.uuid, rank),
      requeue: (run) => this.requeue(run),
      changed: ({ record }) => this.host.changed(record),
      foreign: (node, lease, user) => this.nodes.setBusy(node, lease, user, this.busyRetryMs()),
      blame: (uuid, node, error) => this.blame(uuid, node, error),
      finished: (run) => {
        this.runs.delete(run.record.uuid);
        this.blames.forget(run.record.uuid);
        this.pump();
      },
    };
  }

  /** As `RunHost.blame`. */
  private blame(uuid: string, node: string, error: unknown): string | undefined {
    const blame = this.blames.add(uuid, node, error);
    if (blame.of === 'node') this.nodes.setTrouble(node, blame.words);
    else if (blame.retryMs === undefined) return blame.words;
    else {
      // Others go on meanwhile.
      this.waiting.pause(uuid, blame.words);
      this.nodes.later(blame.retryMs, () => this.waiting.resume(uuid));
    }
    return undefined;
  }

  /** Brings a job's files to a node, and says how far they are. */
  private async prepare(
    record: JobRecord,
    node: string,
    session: AgentSession,
    signal: AbortSignal,
  ): Promise<void> {
    const { uuid } = record;
    const exec = (command: string): Promise<Channel> => this.nodes.exec(node, command);
    try {
      await this.host.prepare(record, session, exec, {
        signal,
        progress: (progress) => {
          this.syncs.set(uuid, node, progress);
          this.host.changed(record);
        },
      });
    } finally {
      if (this.syncs.end(uuid, node)) this.host.changed(record);
    }
  }

  /** Its node starts a staged job as soon as the device is free; to take it back all the time would only be in the way. */
  private busyRetryMs(): number {
    const needsUs = (record: JobRecord): boolean => record.held !== true && !isStageable(record);
    for (const record of this.waiting.all()) if (needsUs(record)) return BUSY_RETRY_MS;
    for (const { record } of this.runs.values())
      if (record.status === 'SETTING_UP' && needsUs(record)) return BUSY_RETRY_MS;
    return BUSY_STAGED_MS;
  }

  private requeue(run: JobRun): void {
    this.runs.delete(run.record.uuid);
    if (run.record.cancelling === true) {
      void this.update(run, { status: 'CANCELLED', endedAt: this.host.now(), cancelling: false });
      return;
    }
    void this.update(run, { status: 'PENDING', placement: undefined });
    this.waiting.add(run.record);
    this.refusedAt = this.host.now();
    this.pump();
  }

  private leases({ record, placement }: JobRun, rank: number): string[] {
    const node = placement.ranks[rank]?.node;
    const inventory = node === undefined ? undefined : this.nodes.find(node)?.inventory;
    return rankLeases(record.demand, placement, rank, inventory);
  }
}
