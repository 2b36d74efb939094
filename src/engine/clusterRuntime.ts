import {
  canonicalGpuName,
  type ClusterDefinition,
  type DeviceInventory,
  type NodeDefinition,
} from '../cluster';
import type { AgentSession, NodeEvent, NodeFacts } from '../node';
import {
  isFinished,
  Scheduler,
  type JobRecord,
  type NodeUsage,
  type PendingReason,
  type SchedulerJob,
} from '../queue';
import type { Channel, Transport } from '../transport';
import { QueueError } from './errors';
import { placeFor } from './place';
import { Dependencies } from './dependencies';
import { rankEnvironment } from './environment';
import { JobRun, rankUuid, type JobPatch, type RunHost } from './jobRun';
import { NodeLink, type LinkState } from './nodeLink';
import type { ClusterView, Reorder } from './views';

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

// How often a device that another queue has is asked for again while a job waits for it.
const BUSY_RETRY_MS = 2_000;
// How soon a node whose disk was full is tried again.
const TROUBLE_RETRY_MS = 15_000;
// Ends are pushed; but a supervisor that somebody kills pushes nothing.
const CHECK_MS = 30_000;

/** One cluster at work: its nodes' connections, its scheduler, and the jobs that are on nodes. */
export class ClusterRuntime {
  private readonly scheduler = new Scheduler();
  private readonly links = new Map<string, NodeLink>();
  private readonly runs = new Map<string, JobRun>();
  private readonly pending = new Map<string, JobRecord>();
  private readonly dependencies = new Dependencies();
  private readonly timers = new Set<NodeJS.Timeout>();
  /** Nodes that can be talked to but cannot take jobs, and why. */
  private readonly troubled = new Map<string, string>();
  private readonly runHost: RunHost;
  private readonly check = setInterval(() => this.checkRuns(), CHECK_MS);
  private closed = false;

  constructor(
    public definition: ClusterDefinition,
    private readonly host: ClusterHost,
  ) {
    this.runHost = this.makeRunHost();
    for (const node of definition.nodes) this.addNode(node);
  }

  /** Takes back a job from the store after a restart. */
  restore(record: JobRecord): void {
    if (record.placement && record.status !== 'PENDING') {
      this.scheduler.adopt(schedulerJob(record), record.placement);
      this.runs.set(record.uuid, new JobRun(record, record.placement, this.runHost));
    } else {
      this.queue(record);
    }
  }

  /** Why this demand can never be met; undefined also while a node's inventory is not known yet. */
  refusal(demand: JobRecord['demand']): string | undefined {
    if (this.definition.nodes.some(({ inventory }) => !inventory)) return undefined;
    return this.scheduler.refusal(demand);
  }

  /** Changes the GPUs that a node is said to have where none are found. */
  async declare(name: string, virtual: NodeDefinition['virtual']): Promise<void> {
    const node = this.node(name);
    if (!node || JSON.stringify(node.virtual) === JSON.stringify(virtual)) return;
    this.replace({ ...node, virtual });
    const session = this.session(name);
    if (session) await this.probe(name, session);
    else this.links.get(name)?.want();
  }

  /** A new job. It may be placed at once; nothing is sent before its record and placement are durable. */
  submit(record: JobRecord): void {
    this.queue(record);
    this.want();
    this.pump();
  }

  /**
   * Changes a waiting job's place; resolves when that is stored. @throws QueueError `not-waiting` for one that does not
   * wait, `no-job` when it is to go before one that does not
   */
  async reorder(record: JobRecord, change: Reorder): Promise<void> {
    const waiting = this.pending.get(record.uuid);
    if (!waiting)
      throw new QueueError('not-waiting', `job ${record.id} does not wait any more (${record.status})`);
    const patch: JobPatch = {
      ...(change.held === undefined ? {} : { held: change.held }),
      ...(change.priority === undefined ? {} : { priority: change.priority }),
      ...(change.move === undefined ? {} : placeFor(waiting, [...this.pending.values()], change.move)),
    };
    const moved = { ...waiting, ...patch };
    this.pending.set(record.uuid, moved);
    this.scheduler.setOrder(record.uuid, {
      priority: moved.priority,
      order: moved.order,
      held: moved.held === true || this.dependencies.of(record.uuid).length > 0,
    });
    const durable = this.host.patch(waiting, patch);
    this.pump();
    await durable;
  }

  /** Takes back a job that could not be stored. */
  withdraw(record: JobRecord): void {
    if (this.pending.delete(record.uuid)) this.scheduler.remove(record.uuid);
  }

  /** Begins to end a job, whatever it does. */
  cancel(record: JobRecord): void {
    const run = this.runs.get(record.uuid);
    if (run) {
      void this.update(run, { cancelling: true });
      run.cancel();
      return;
    }
    const pending = this.pending.get(record.uuid);
    if (!pending) return;
    this.endPending(pending);
    this.pump();
  }

  /** Connects to all nodes that are not; with `now`, at once also those that wait or were given up. */
  want(now = false): void {
    for (const link of this.links.values()) link.want(now);
  }

  /** Looks at every node again; resolves when those that answer have. */
  async refresh(): Promise<void> {
    this.want(true);
    await Promise.all(
      [...this.links.values()].map(async ({ node, session }) => {
        if (!session) return;
        await this.probe(node, session).catch(() => undefined);
        await this.reconcile(node, session).catch(() => undefined);
      }),
    );
  }

  reason(record: JobRecord): PendingReason | undefined {
    if (!this.pending.has(record.uuid)) return undefined;
    const reason = this.scheduler.reason(record.uuid);
    const after = this.dependencies.of(record.uuid);
    if (after.length > 0) {
      const names = after.map((uuid) => `job ${this.host.find(uuid)?.id ?? '?'}`).join(', ');
      return { ...reason, text: `starts when ${names} has succeeded` };
    }
    const words = this.connectionWords();
    return reason.kind === 'resources' || reason.kind === 'held' || words === undefined
      ? reason
      : { ...reason, text: words };
  }

  /** Runs on this node, for those who follow logs. */
  session(node: string): AgentSession | undefined {
    return this.links.get(node)?.session;
  }

  /** All open sessions, each with a way to run a command beside it. */
  sessions(): { session: AgentSession; exec: (command: string) => Promise<Channel> }[] {
    return [...this.links.values()].flatMap((link) =>
      link.session ? [{ session: link.session, exec: (command: string) => link.exec(command) }] : [],
    );
  }

  get liveJobs(): number {
    return this.runs.size + this.pending.size;
  }

  view(): ClusterView {
    const labels = new Map<string, string>();
    for (const { record } of this.runs.values()) labels.set(record.uuid, `job ${record.id}`);
    return {
      name: this.definition.name,
      local: this.definition.nodes.every(({ destination }) => destination === undefined),
      nodes: this.definition.nodes.map((node) => {
        const usage = node.inventory ? this.usage(node.name, labels) : undefined;
        return {
          name: node.name,
          link: this.linkState(node.name),
          virtual: node.virtual !== undefined,
          ...(node.destination === undefined ? {} : { destination: node.destination }),
          ...(usage === undefined ? {} : { usage }),
        };
      }),
      pending: this.pending.size,
      running: this.runs.size,
    };
  }

  close(): void {
    this.closed = true;
    clearInterval(this.check);
    for (const timer of this.timers) clearTimeout(timer);
    for (const link of this.links.values()) link.close();
  }

  private linkState(node: string): LinkState {
    const trouble = this.troubled.get(node);
    return trouble === undefined
      ? (this.links.get(node)?.state ?? { state: 'idle' })
      : { state: 'down', message: trouble };
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

  private addNode(node: NodeDefinition): void {
    this.schedule(node);
    const link = new NodeLink(node.name, (signal) => this.host.connect(node, signal), {
      opened: (session) => this.opened(node.name, session),
      event: (event) => this.event(node.name, event),
      changed: (state) => this.linkChanged(node.name, state),
    });
    this.links.set(node.name, link);
  }

  /** A node that was never reached has nothing to give, but its place: ranks go by the order of the definition. */
  private schedule(node: NodeDefinition): void {
    const { cpus, memoryMiB, devices } = node.inventory ?? { cpus: 0, memoryMiB: 0, devices: [] };
    this.scheduler.setNode({ id: node.name, cpus, memoryMiB, devices });
    this.updateAvailability(node.name);
  }

  private updateAvailability(node: string): void {
    const up = this.links.get(node)?.state.state === 'up' && !this.troubled.has(node);
    this.scheduler.setNodeState(node, up ? 'up' : 'down');
  }

  /** The node cannot launch anything just now; what runs there goes on, and it is tried again later. */
  private setTrouble(node: string, message: string): void {
    this.troubled.set(node, message);
    this.updateAvailability(node);
    this.later(TROUBLE_RETRY_MS, () => {
      this.troubled.delete(node);
      this.updateAvailability(node);
    });
    this.host.changed();
  }

  private async opened(node: string, session: AgentSession): Promise<void> {
    // A node met for the first time is looked at before it is used; a known one while it works.
    const known = this.node(node)?.inventory !== undefined;
    const probe = this.probe(node, session);
    if (known) {
      probe.catch(() => undefined);
      await this.reconcile(node, session);
    } else {
      await probe;
    }
    this.host.attached(node, session);
  }

  private checkRuns(): void {
    for (const { node, session, state } of this.links.values()) {
      if (session && state.state === 'up') this.reconcile(node, session).catch(() => undefined);
    }
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

  private async probe(node: string, session: AgentSession): Promise<void> {
    const facts = await session.probe();
    if (!facts.bash)
      throw this.unfit(
        node,
        `${node} has no bash on its PATH, and jobs run by bash: install it there, or put its folder on the PATH of non-interactive shells`,
      );
    const current = this.node(node);
    if (!current || this.closed) return;
    const inventory = {
      cpus: facts.cpus,
      memoryMiB: facts.memoryMiB,
      ip: facts.ip,
      devices: devicesOf(current, facts, session.node),
    };
    const changed = JSON.stringify(inventory) !== JSON.stringify(current.inventory);
    if (changed) {
      const defined = { ...current, inventory };
      this.replace(defined);
      this.schedule(defined);
    }
    for (const device of inventory.devices) {
      const foreign = facts.foreign.find(({ gpuUuid }) => gpuUuid === device.lease);
      this.scheduler.setForeign(node, device.index, foreign ? foreign.user : undefined);
    }
    this.pump();
    this.host.changed();
  }

  private unfit(node: string, message: string): Error {
    this.links.get(node)?.fail(message);
    return new Error(message);
  }

  private linkChanged(node: string, state: LinkState): void {
    if (this.closed) return;
    this.updateAvailability(node);
    if (state.state === 'down') this.host.detached(node);
    this.pump();
    this.host.changed();
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
      const record = this.pending.get(id);
      if (!record) continue;
      this.pending.delete(id);
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
    this.pending.set(record.uuid, record);
    this.scheduler.requeue(record.uuid);
    this.host.changed(record);
    this.later(BUSY_RETRY_MS, () => undefined);
  }

  private update(run: JobRun, patch: JobPatch): Promise<void> {
    const before = run.record;
    run.record = { ...before, ...patch };
    const durable = this.host.patch(before, patch);
    if (isFinished(run.record.status)) this.settled(run.record);
    return durable;
  }

  /** Lets a job wait for its turn, and before that for the jobs it comes after. */
  private queue(record: JobRecord): void {
    const others = (record.after ?? []).map((uuid) => this.host.find(uuid));
    const unfinished = others.flatMap((other) => (other && !isFinished(other.status) ? [other.uuid] : []));
    this.pending.set(record.uuid, record);
    const held = this.dependencies.add(record.uuid, unfinished);
    this.scheduler.submit({ ...schedulerJob(record), held: held || record.held === true });
    const failed = others.find((other) => other && isFinished(other.status) && other.status !== 'SUCCEEDED');
    if (failed) this.endPending(record, dependencyWords(failed));
  }

  private endPending(record: JobRecord, message?: string): void {
    this.pending.delete(record.uuid);
    this.scheduler.remove(record.uuid);
    const patch: JobPatch = {
      status: 'CANCELLED',
      endedAt: this.host.now(),
      ...(message === undefined ? {} : { message }),
    };
    void this.host.patch(record, patch);
    this.settled({ ...record, ...patch });
  }

  private settled(record: JobRecord): void {
    const { freed, doomed } = this.dependencies.settle(record);
    for (const uuid of freed) this.scheduler.setOrder(uuid, { held: this.pending.get(uuid)?.held === true });
    for (const uuid of doomed) {
      const waiting = this.pending.get(uuid);
      if (waiting) this.endPending(waiting, dependencyWords(record));
    }
  }

  private makeRunHost(): RunHost {
    return {
      graceS: this.host.graceS,
      now: () => this.host.now(),
      session: (node) => this.session(node),
      environment: (run, rank) =>
        rankEnvironment(run.record, run.placement, rank, this.definition, this.host.secrets(run.record)),
      prepare: (run, node, session) => {
        const link = this.links.get(node);
        return link
          ? this.host.prepare(run.record, session, (command) => link.exec(command))
          : Promise.resolve();
      },
      leases: (run, rank) => this.leases(run, rank),
      update: (run, patch) => this.update(run, patch),
      released: (run, rank) => {
        this.scheduler.release(run.record.uuid, rank);
      },
      requeue: (run) => {
        this.runs.delete(run.record.uuid);
        const cancelled = run.record.cancelling === true;
        void this.update(
          run,
          cancelled
            ? { status: 'CANCELLED', endedAt: this.host.now(), cancelling: false }
            : { status: 'PENDING', placement: undefined },
        );
        if (cancelled) return;
        this.pending.set(run.record.uuid, run.record);
        this.scheduler.submit(schedulerJob(run.record));
        this.pump();
      },
      foreign: (node, lease) => {
        const device = this.node(node)?.inventory?.devices.find((candidate) => candidate.lease === lease);
        if (!device) return;
        this.scheduler.setForeign(node, device.index, 'another queue');
        this.later(BUSY_RETRY_MS, () => this.scheduler.setForeign(node, device.index, undefined));
      },
      trouble: (node, message) => this.setTrouble(node, message),
      finished: (run) => {
        this.runs.delete(run.record.uuid);
        this.pump();
      },
    };
  }

  private later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
      this.pump();
      this.host.changed();
    }, ms);
    this.timers.add(timer);
  }

  private leases(run: JobRun, rank: number): string[] {
    const placed = run.placement.ranks[rank];
    const count = run.record.demand.alternatives[run.placement.alternative]?.gpu?.count ?? 0;
    const inventory = placed && this.node(placed.node)?.inventory;
    if (!placed || !inventory) return [];
    return placed.devices.map((index) => {
      const lease = inventory.devices.find((device) => device.index === index)?.lease ?? `unknown-${index}`;
      return count < 1 ? `s:${lease}` : lease;
    });
  }

  private connectionWords(): string | undefined {
    const states = [...this.links.values()].map(({ node, state }) => ({ node, state }));
    const down = states.filter(({ state }) => state.state === 'down');
    const connecting = states.filter(({ state }) => state.state === 'connecting' || state.state === 'idle');
    if (connecting.length > 0 && down.length + connecting.length === states.length) {
      return `connecting to ${connecting.map(({ node }) => node).join(', ')}`;
    }
    const [trouble] = this.troubled.values();
    if (trouble !== undefined) return trouble;
    const [first] = down;
    return first && first.state.state === 'down'
      ? `waiting for ${first.node}: ${first.state.message}`
      : undefined;
  }

  private replace(node: NodeDefinition): void {
    this.definition = {
      ...this.definition,
      nodes: this.definition.nodes.map((other) => (other.name === node.name ? node : other)),
    };
    this.host.redefine(this.definition);
  }

  private node(name: string): NodeDefinition | undefined {
    return this.definition.nodes.find((node) => node.name === name);
  }
}

function schedulerJob(record: JobRecord): SchedulerJob {
  if (isFinished(record.status)) throw new Error(`job ${record.id} has ended`);
  return {
    id: record.uuid,
    order: record.order,
    priority: record.priority,
    demand: record.demand,
    label: `job ${record.id}`,
  };
}

function dependencyWords(other: JobRecord): string {
  return `it was to start when job ${other.id} (${other.name}) had succeeded, but that one is ${other.status}`;
}

function devicesOf(node: NodeDefinition, facts: NodeFacts, nodeId: string): DeviceInventory[] {
  const { virtual } = node;
  if (virtual && facts.gpus.length === 0) {
    return Array.from({ length: virtual.count }, (_, index) => ({
      index,
      name: virtual.name,
      lease: `virtual-${nodeId}-${index}`,
    }));
  }
  return facts.gpus.map(({ index, uuid, name, memoryMiB }) => ({
    index,
    name: canonicalGpuName(name, memoryMiB),
    lease: uuid,
    memoryMiB,
  }));
}
