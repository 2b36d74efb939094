import type { ClusterDefinition, NodeDefinition } from '../cluster';
import type { AgentSession, NodeEvent } from '../node';
import { isFinished, Scheduler, type JobRecord, type NodeUsage, type PendingReason } from '../queue';
import type { Channel, Transport } from '../transport';
import { ClusterNodes } from './clusterNodes';
import { rankEnvironment } from './environment';
import { JobRun, rankUuid, type JobPatch, type RunHost } from './jobRun';
import type { ClusterView, Reorder } from './views';
import { schedulerJob, WaitingJobs } from './waitingJobs';

/** What a cluster at work needs from the engine around it. */
export interface ClusterHost {
  connect(node: NodeDefinition, signal: AbortSignal): Promise<Transport>;
  /** A job of this cluster, whatever became of it. */
  find(uuid: string): JobRecord | undefined;
  /** Stores a change of a job; resolves when durable. */
  patch(record: JobRecord, patch: JobPatch): Promise<void>;
  /** The nodes' inventories changed. */
  redefine(definition: ClusterDefinition): void;
  secrets(record: JobRecord): Record<string, string>;
  /** Brings the files a job needs to a node, by commands of its own on the same connection. */
  prepare(
    record: JobRecord,
    session: AgentSession,
    exec: (command: string) => Promise<Channel>,
  ): Promise<void>;
  /** Something a view shows has changed; with a job, that job. */
  changed(record?: JobRecord): void;
  /** A node of this cluster got a session, or lost it. */
  attached(node: string, session: AgentSession): void;
  detached(node: string): void;
  readonly graceS: number;
  now(): number;
}

// Ends are pushed; but a supervisor that somebody kills pushes nothing, nor does a stranger who lets go of a GPU.
const CHECK_MS = 30_000;
// How soon a dispatch is tried again that the store could not take.
const STORE_RETRY_MS = 2_000;

/** One cluster at work: what waits, what is on nodes, and how the one becomes the other. */
export class ClusterRuntime {
  private readonly scheduler = new Scheduler();
  private readonly nodes: ClusterNodes;
  private readonly waiting: WaitingJobs;
  private readonly runs = new Map<string, JobRun>();
  private readonly runHost: RunHost;
  private readonly check = setInterval(() => this.lookAround(), CHECK_MS);
  private closed = false;

  constructor(
    definition: ClusterDefinition,
    private readonly host: ClusterHost,
  ) {
    this.runHost = this.makeRunHost();
    this.waiting = new WaitingJobs(this.scheduler, host);
    this.nodes = new ClusterNodes(definition, this.scheduler, {
      connect: (node, signal) => host.connect(node, signal),
      reconcile: (node, session) => this.reconcile(node, session),
      event: (node, event) => this.event(node, event),
      attached: (node, session) => host.attached(node, session),
      detached: (node) => host.detached(node),
      redefine: (changed) => host.redefine(changed),
      changed: () => {
        this.pump();
        host.changed();
      },
    });
  }

  get definition(): ClusterDefinition {
    return this.nodes.definition;
  }

  /** Takes back a job from the store after a restart. */
  restore(record: JobRecord): void {
    if (record.placement && record.status !== 'PENDING') {
      this.scheduler.adopt(schedulerJob(record), record.placement);
      this.runs.set(record.uuid, new JobRun(record, record.placement, this.runHost));
    } else {
      this.waiting.add(record);
    }
  }

  /** Why this demand can never be met; undefined also while a node's inventory is not known yet. */
  refusal(demand: JobRecord['demand']): string | undefined {
    if (this.definition.nodes.some(({ inventory }) => !inventory)) return undefined;
    return this.scheduler.refusal(demand);
  }

  /** Changes the GPUs that a node is said to have where none are found. */
  declare(name: string, virtual: NodeDefinition['virtual']): Promise<void> {
    return this.nodes.declare(name, virtual);
  }

  /** A new job. It may be placed at once; nothing is sent before its record and placement are durable. */
  submit(record: JobRecord): void {
    this.waiting.add(record);
    this.want();
    this.pump();
  }

  /** Changes a waiting job's place; resolves when that is stored. @throws QueueError `not-waiting`, `no-job` */
  async reorder(record: JobRecord, change: Reorder): Promise<void> {
    const durable = this.waiting.reorder(record, change);
    this.pump();
    await durable;
  }

  /** Takes back a job that could not be stored. */
  withdraw(record: JobRecord): void {
    if (this.waiting.take(record.uuid)) this.scheduler.remove(record.uuid);
  }

  /** Begins to end a job, whatever it does. */
  cancel(record: JobRecord): void {
    const run = this.runs.get(record.uuid);
    if (run) {
      void this.update(run, { cancelling: true });
      run.cancel();
    } else if (this.waiting.cancel(record.uuid)) {
      this.pump();
    }
  }

  /** Connects to all nodes that are not. */
  want(): void {
    this.nodes.want();
  }

  /** Looks at every node again; resolves when those that answer have. */
  async refresh(): Promise<void> {
    this.nodes.want(true);
    await Promise.all(
      this.nodes.open().map(async ({ node, session }) => {
        await this.nodes.probe(node, session).catch(() => undefined);
        await this.reconcile(node, session).catch(() => undefined);
      }),
    );
  }

  /** Why a job waits; undefined when it does not. */
  reason(record: JobRecord): PendingReason | undefined {
    return this.waiting.reason(record.uuid, this.nodes.words());
  }

  /** The open session of a node, for those who follow logs. */
  session(node: string): AgentSession | undefined {
    return this.nodes.session(node);
  }

  /** All open sessions, each with a way to run a command beside it. */
  sessions(): { session: AgentSession; exec: (command: string) => Promise<Channel> }[] {
    return this.nodes.open();
  }

  get liveJobs(): number {
    return this.runs.size + this.waiting.size;
  }

  view(): ClusterView {
    const { definition } = this;
    const labels = new Map<string, string>();
    for (const { record } of this.runs.values()) labels.set(record.uuid, `job ${record.id}`);
    return {
      name: definition.name,
      local: definition.nodes.every(({ destination }) => destination === undefined),
      nodes: definition.nodes.map((node) => {
        const usage = node.inventory ? this.usage(node.name, labels) : undefined;
        return {
          name: node.name,
          link: this.nodes.linkState(node.name),
          virtual: node.virtual !== undefined,
          ...(node.destination === undefined ? {} : { destination: node.destination }),
          ...(usage === undefined ? {} : { usage }),
        };
      }),
      pending: this.waiting.size,
      running: this.runs.size,
    };
  }

  close(): void {
    this.closed = true;
    clearInterval(this.check);
    this.nodes.close();
  }

  private usage(node: string, labels: ReadonlyMap<string, string>): NodeUsage {
    const usage = this.scheduler.usage(node);
    const named = (ids: readonly string[]): string[] => ids.map((id) => labels.get(id) ?? id);
    return {
      ...usage,
      jobs: named(usage.jobs),
      devices: usage.devices.map((device) => ({ ...device, jobs: named(device.jobs) })),
    };
  }

  private lookAround(): void {
    for (const { node, session, up } of this.nodes.open()) {
      if (up) this.reconcile(node, session).catch(() => undefined);
    }
    if (this.waiting.size > 0) this.nodes.lookAgain();
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
    this.pump();
  }

  private event(node: string, event: NodeEvent): void {
    const dash = event.uuid.lastIndexOf('-');
    const run = this.runs.get(event.uuid.slice(0, dash));
    const rank = Number(event.uuid.slice(dash + 1));
    if (run && run.ranks[rank]?.node === node) run.event(rank, event);
    this.pump();
  }

  /** Dispatches whatever may start. */
  private pump(): void {
    if (this.closed) return;
    for (const { id, placement } of this.scheduler.takeStarts()) {
      const record = this.waiting.take(id);
      if (!record) continue;
      const run = new JobRun(record, placement, this.runHost);
      this.runs.set(id, run);
      // Durable before it is sent: after a crash the job is asked for where it may have been started.
      this.update(run, { status: 'SETTING_UP', placement }).then(
        () => run.launch(),
        () => this.giveBack(run),
      );
    }
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

  private update(run: JobRun, patch: JobPatch): Promise<void> {
    const before = run.record;
    run.record = { ...before, ...patch };
    const durable = this.host.patch(before, patch);
    if (isFinished(run.record.status)) this.waiting.settled(run.record);
    return durable;
  }

  private makeRunHost(): RunHost {
    return {
      graceS: this.host.graceS,
      now: () => this.host.now(),
      session: (node) => this.session(node),
      environment: (run, rank) =>
        rankEnvironment(run.record, run.placement, rank, this.definition, this.host.secrets(run.record)),
      prepare: (run, node, session) =>
        this.host.prepare(run.record, session, (command) => this.nodes.exec(node, command)),
      leases: (run, rank) => this.leases(run, rank),
      update: (run, patch) => this.update(run, patch),
      released: (run, rank) => this.scheduler.release(run.record.uuid, rank),
      requeue: (run) => this.requeue(run),
      foreign: (node, lease) => this.nodes.setBusy(node, lease),
      trouble: (node, message) => this.nodes.setTrouble(node, message),
      finished: (run) => {
        this.runs.delete(run.record.uuid);
        this.pump();
      },
    };
  }

  private requeue(run: JobRun): void {
    this.runs.delete(run.record.uuid);
    if (run.record.cancelling === true) {
      void this.update(run, { status: 'CANCELLED', endedAt: this.host.now(), cancelling: false });
      return;
    }
    void this.update(run, { status: 'PENDING', placement: undefined });
    this.waiting.add(run.record);
    this.pump();
  }

  private leases(run: JobRun, rank: number): string[] {
    const placed = run.placement.ranks[rank];
    const count = run.record.demand.alternatives[run.placement.alternative]?.gpu?.count ?? 0;
    const inventory = placed && this.nodes.find(placed.node)?.inventory;
    if (!placed || !inventory) return [];
    return placed.devices.map((index) => {
      const lease = inventory.devices.find((device) => device.index === index)?.lease ?? `unknown-${index}`;
      return count < 1 ? `s:${lease}` : lease;
    });
  }
}
