import type { ClusterDefinition } from '../cluster';
import { SessionClosedError, type AgentSession, type NodeJobState } from '../node';
import type { JobRecord } from '../queue';
import { Arrivals } from './arrivals';
import { differ, homesOf, MOST_STAGED, wantNodes, type Home, type NodeLook } from './homes';
import { rankUuid } from './jobRun';
import { Presence } from './presence';
import { folderOf, newEntry, StagedJobs, weightOf, type Entry } from './stagedJobs';
import { planStaging } from './stagingPlan';
import { wantClass, wantKey, wantText } from './want';

/** What staging needs from its cluster. */
export interface StagingHost {
  readonly graceS: number;
  definition(): ClusterDefinition;
  /** Nodes that can be talked to. */
  open(): readonly OpenNode[];
  /** The waiting jobs in queue order. */
  waiting(): Iterable<JobRecord>;
  find(uuid: string): JobRecord | undefined;
  /** Whether the job is one of this queue's, whatever became of it. */
  isKnown(uuid: string): boolean;
  /** What a waiting job still waits for. */
  unfinished(uuid: string): readonly string[];
  /** The node of a job that is dispatched, when it has only one. */
  nodeOf(uuid: string): string | undefined;
  /** Share of a node's GPUs (of its CPUs, without GPUs) that jobs hold, 0 to 1. */
  load(node: string): number;
  /** True while nothing new may start on the node. */
  closed(node: string): boolean;
  /** True while the node is not sent yet all that was dispatched to it: what is staged there now might start first. */
  arriving(node: string): boolean;
  environment(record: JobRecord): string;
  /** Brings a job's files to a node. */
  prepare(record: JobRecord, node: string, session: AgentSession, signal: AbortSignal): Promise<void>;
  /** Stores where a waiting job is staged; resolves when durable. */
  store(uuid: string, staged: JobRecord['staged']): Promise<void>;
  /** No node has the job any more: it waits here alone. */
  recalled(uuid: string): void;
  /** The job's nodes are gone for good, and whether one has started it nobody will know. */
  abandoned(uuid: string, words: string): void;
  /** A node has started the job. */
  taken(uuid: string, node: string, state: NodeJobState): void;
  /** Whether the job can be told about (its nodes are reached) has changed; while it cannot, it must not start elsewhere. */
  reached(uuid: string, reached: boolean): void;
  /** Whether a job waits until it is tried again. */
  isPaused(uuid: string): boolean;
  /** As `RunHost.blame`. */
  blame(uuid: string, node: string, error: unknown): string | undefined;
  changed(): void;
}

export interface OpenNode {
  readonly node: string;
  readonly session: AgentSession;
}

// Requests under way at a time, so that a cancel never waits behind a thousand of them.
const WINDOW = 16;
// How soon staging is tried again after the store could not take it.
const RETRY_MS = 2_000;

/**
 * Jobs that wait on the nodes themselves, and start there also while no client is on: every waiting job for one node is
 * put on exactly one home, in queue order, and taken back before it is started anywhere else. A job that is behind one
 * that needs several nodes is staged as reserved: its node starts it only when no client is there to decide.
 */
export class Staging {
  private readonly entries = new StagedJobs();
  /** The queue, its order, or what a job comes after has changed since the last look at it. */
  private stale = true;
  /** What the last look found of the nodes, and of homes that had no room for all that waits. */
  private looked: { readonly nodes: readonly NodeLook[]; readonly full: readonly Home[] } = {
    nodes: [],
    full: [],
  };
  private readonly queue: Entry[] = [];
  private readonly arrivals = new Arrivals();
  private readonly presence: Presence;
  private readonly recalls = new Set<Entry>();
  /** Sessions that were asked for all that their nodes have. */
  private readonly met = new WeakSet<AgentSession>();
  private sending = 0;
  /** Of those, the ones whose files are on their way. */
  private readonly syncing = new Set<Entry>();
  /** Something was staged, and the nodes were not asked yet to start what can be. */
  private unkicked = false;
  /** What nodes have, or what we know of what is staged, has changed: whether that is staged rightly is looked at anew. */
  private recheck = true;
  /** Jobs that no node takes: they are dispatched, and fail with the reason. */
  private readonly spoiled = new Set<string>();
  private timer: NodeJS.Immediate | undefined;
  private waiters: (() => void)[] = [];
  /** The last requests for other places in the queue. */
  private renaming: Promise<unknown> = Promise.resolve();
  private resting: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly host: StagingHost) {
    this.presence = new Presence({
      sessions: () => host.open().map(({ session }) => session),
      isReserved: () => this.entries.all().some(({ name }) => name?.split('.')[0]?.endsWith('a') === true),
    });
  }

  /** A job of the store that was staged when the last engine stopped; it is asked for when its nodes are reached. */
  restore(record: JobRecord): void {
    if (!record.staged) return;
    this.entries.add(
      newEntry({
        uuid: record.uuid,
        weight: weightOf(record),
        nodes: record.staged.nodes,
        phase: 'unsure',
        recall: record.cancelling === true || record.held === true,
        reserved: false,
        home: '',
        key: '',
        files: false,
      }),
    );
  }

  /** True when a node may start the job by itself. */
  has(uuid: string): boolean {
    return this.entries.has(uuid);
  }

  /** Where a job is staged, for a person: `staged on node-b, 3rd`; undefined when it is not (yet). */
  words(uuid: string): string | undefined {
    return this.entries.words(uuid);
  }

  /** True when a node has the job and starts it, whatever becomes of this process. */
  isStaged(uuid: string): boolean {
    return this.entries.get(uuid)?.phase === 'staged';
  }

  /** True when the job may be on nodes, and those can be asked. */
  isReached(uuid: string): boolean {
    const entry = this.entries.get(uuid);
    return entry !== undefined && entry.phase !== 'unsure';
  }

  /** True while jobs are on their way to nodes, or about to be sent. */
  get isSending(): boolean {
    return this.timer !== undefined || this.sending > 0 || this.queue.length > 0;
  }

  /** How many wait on nodes. */
  get size(): number {
    return this.entries.size;
  }

  /** What waits, in which order, or what it comes after has changed: the queue is looked at anew. */
  requeued(): void {
    this.stale = true;
    this.entries.moved();
    this.plan();
  }

  /** Something has changed: what should be staged and is not, soon will be. */
  plan(): void {
    if (this.closed || this.timer) return;
    this.timer = setImmediate(() => {
      this.timer = undefined;
      if (this.closed) return;
      this.flushRecalls();
      this.fill();
    });
  }

  /** Takes a job back; `recalled` or `taken` follows, when its nodes are reached. */
  recall(uuid: string): void {
    const entry = this.entries.get(uuid);
    if (!entry) return;
    entry.recall = true;
    if (entry.phase === 'planned') this.release(entry);
    else {
      this.recalls.add(entry);
      this.plan();
    }
  }

  /** Takes back all that a node might start. */
  withdraw(node: string): void {
    for (const entry of this.entries.all()) if (entry.nodes.includes(node)) this.recall(entry.uuid);
  }

  /** Resolves when no job is staged on the node any more, or its word cannot be had. */
  async returned(node: string): Promise<void> {
    const left = (): boolean =>
      this.entries.all().some(({ nodes, phase }) => nodes.includes(node) && phase !== 'unsure');
    while (!this.closed && left()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /**
   * Resolves when the nodes that can be reached have heard what a change of these waiting jobs means for them: those that are
   * to be taken back are here, or have begun, and the others have their new places.
   */
  async told(uuids: readonly string[]): Promise<void> {
    // After the look that the change has asked for.
    await new Promise((resolve) => setImmediate(resolve));
    await this.renaming;
    const leaving = (uuid: string): boolean => {
      const entry = this.entries.get(uuid);
      return entry?.recall === true && entry.phase !== 'unsure';
    };
    while (!this.closed && uuids.some(leaving))
      await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** The node is gone for good: what it may have is given up, unless another node of its home can tell. */
  abandon(node: string): void {
    for (const entry of this.entries.all()) {
      if (entry.phase !== 'unsure' || !entry.nodes.includes(node)) continue;
      this.forget(entry);
      this.host.abandoned(
        entry.uuid,
        `it was staged on ${node}, which could not be reached when it was removed: it may have run there`,
      );
    }
  }

  /** The node says that it has started the job. */
  taken(uuid: string, node: string, state: NodeJobState): void {
    const entry = this.entries.get(uuid);
    if (!entry) return;
    this.forget(entry);
    this.host.taken(uuid, node, state);
  }

  /** A session to a node is open: asks for all that it may have. */
  async reconcile(node: string, session: AgentSession): Promise<void> {
    const open = new Set(this.host.open().map((other) => other.session));
    const mine = this.entries
      .all()
      .filter(
        ({ nodes, phase, via }) =>
          nodes.includes(node) && (phase === 'staged' || phase === 'unsure' || (via && !open.has(via))),
      );
    const isNew = !this.met.has(session);
    this.met.add(session);
    if (mine.length === 0 && !isNew) return;
    const names = new Map(
      (await session.staged()).map((name) => [name.slice(name.lastIndexOf('.') + 1), name]),
    );
    const asked: Entry[] = [];
    for (const entry of mine) {
      const name = names.get(rankUuid(entry.uuid, 0));
      if (name === undefined) asked.push(entry);
      else {
        entry.name = name;
        this.confirm(entry);
      }
    }
    // Taken back, not only asked for: a folder that is renamed just then may be missing from a listing.
    if (asked.length > 0) await this.takeBack(node, session, asked);
    const strays = [...names].filter(([uuid]) => this.isStray(uuid.slice(0, uuid.lastIndexOf('-'))));
    await session.recall(strays.map(([, name]) => name));
    this.requeued();
  }

  /** A job of ours that lies on a node though it was given up, by a request that a broken connection still carried. */
  private isStray(uuid: string): boolean {
    return !this.entries.has(uuid) && this.host.isKnown(uuid);
  }

  /** A node is gone: what it has is not known until it is back. */
  detached(node: string): void {
    const open = new Set(this.host.open().map((other) => other.node));
    for (const entry of this.entries.all()) {
      if (!entry.nodes.includes(node) || entry.phase === 'planned') continue;
      if (entry.nodes.some((other) => other !== node && open.has(other))) continue;
      entry.phase = 'unsure';
      this.host.reached(entry.uuid, false);
    }
    this.wakeWaiters();
    this.entries.moved();
  }

  close(): void {
    this.closed = true;
    clearImmediate(this.timer);
    this.presence.close();
    clearTimeout(this.resting);
    this.wakeWaiters();
  }

  /** Plans and sends what waits and is not staged, up to what a home may have. */
  private fill(): void {
    const open = this.resting ? [] : this.host.open();
    const nodes = open.map((one) => this.look(one));
    if (
      this.stale ||
      this.looked.full.some((home) => this.isHalfEmpty(home)) ||
      differ(nodes, this.looked.nodes)
    ) {
      this.stale = false;
      this.recheck ||= nodes.some(({ node, definition }, at) => {
        const { nodes: before } = this.looked;
        // Mostly the same nodes: to look for each of a thousand would take longer than all else.
        const one = before[at]?.node === node ? before[at] : before.find((other) => other.node === node);
        return one?.definition !== definition;
      });
      const homes = homesOf(
        nodes,
        (node) => this.host.load(node),
        (node) => this.entries.amount(node),
      );
      if (homes.length > 0) {
        this.lookThrough(homes, this.recheck ? nodes : []);
        this.recheck = false;
      }
      this.looked = { nodes, full: homes.filter((home) => home.full) };
    }
    this.send();
  }

  /** Assigns what waits to homes, renames what has got another place, and takes back what `recheck` nodes have no more. */
  private lookThrough(homes: readonly Home[], recheck: readonly NodeLook[]): void {
    const { host } = this;
    const { outdated, turned, renames, assigned, again } = planStaging({
      waiting: host.waiting(),
      homes,
      entry: (uuid) => this.entries.get(uuid),
      recheck,
      isFree: (record) =>
        isStageable(record) && !this.spoiled.has(record.uuid) && !host.isPaused(record.uuid),
      unfinished: (uuid) => host.unfinished(uuid),
      nodeOf: (uuid) => host.nodeOf(uuid),
    });
    for (const { uuid } of outdated) this.recall(uuid);
    for (const entry of turned) entry.reserved = !entry.reserved;
    for (const entry of assigned) {
      if (entry.files) this.arrivals.expect(entry);
      this.entries.add(entry);
      this.queue.push(entry);
    }
    if (again) this.requeued();
    for (const [home, renamed] of renames) {
      for (const { entry, to } of renamed) entry.name = to;
      this.presence.renew();
      const names = renamed.map(({ from, to }) => [from, to] as const);
      const asked = home.nodes[0]?.session.rekey(names);
      this.renaming = Promise.allSettled([this.renaming, asked]);
      this.entries.moved();
    }
  }

  /** A job has been sent, or will not be: those may follow that come after it. */
  private passed(entry: Entry): void {
    // When whoever gave it up has gone on with it.
    if (this.arrivals.passed(entry)) queueMicrotask(() => this.send());
  }

  /** Whether what it waited for is dispatched instead, and still on its way: then it is planned anew when that is there. */
  private overtakes({ waited, nodes }: Entry): boolean {
    return waited && nodes.some((node) => this.host.arriving(node));
  }

  private send(): void {
    while (this.sending < WINDOW && !this.closed) {
      const entry = this.next();
      if (!entry) return;
      this.sending++;
      if (entry.files) this.syncing.add(entry);
      void this.stage(entry).finally(() => {
        this.syncing.delete(entry);
        this.passed(entry);
        this.sending--;
        this.send();
        // When nothing runs there, no end of a job would start it.
        if (this.unkicked && this.sending === this.syncing.size) void this.kick();
      });
    }
  }

  /** The next to be sent: the files of one are sent beside those of others; without any it would be there first. */
  private next(): Entry | undefined {
    for (let at = 0; at < this.queue.length;) {
      const entry = this.queue[at];
      if (!entry) return undefined;
      if (this.arrivals.isBehind(entry)) {
        entry.waited = true;
        if (!entry.files) {
          at++;
          continue;
        }
      }
      this.queue.splice(at, 1);
      if (entry.files || !this.overtakes(entry) || !this.entries.isCurrent(entry)) return entry;
      this.release(entry);
    }
    return undefined;
  }

  private async stage(entry: Entry): Promise<void> {
    const given = (): boolean => this.closed || !this.entries.isCurrent(entry);
    if (given()) return;
    try {
      await this.host.store(entry.uuid, { nodes: entry.nodes });
    } catch {
      if (given()) return;
      this.resting ??= setTimeout(() => {
        this.resting = undefined;
        this.requeued();
      }, RETRY_MS);
      this.release(entry);
      return;
    }
    const open = (): OpenNode[] => this.host.open().filter(({ node }) => entry.nodes.includes(node));
    try {
      for (const { node, session } of open()) {
        const record = this.host.find(entry.uuid);
        if (given() || !record) return;
        // Most have none, and to end what is not under way costs an error.
        if (record.spec.snapshot === undefined) continue;
        entry.sync = new AbortController();
        const failed = await this.host
          .prepare(record, node, session, entry.sync.signal)
          .catch((error: unknown) => error ?? true);
        entry.sync = undefined;
        if (failed === undefined) continue;
        if (given()) return;
        this.blame(entry, node, session, failed);
        this.release(entry);
        return;
      }
      await this.arrivals.turn(entry);
    } finally {
      this.syncing.delete(entry);
    }
    const record = this.host.find(entry.uuid);
    const nodes = open();
    const [via] = nodes;
    if (given() || !record) return;
    if (!via || entry.recall || this.overtakes(entry)) this.release(entry);
    else await this.put(entry, record, via, nodes);
  }

  private async put(
    entry: Entry,
    record: JobRecord,
    via: OpenNode,
    open: readonly OpenNode[],
  ): Promise<void> {
    const looks = open.map((one) => this.look(one));
    const want = wantText(wantNodes(looks), record.demand);
    const after = this.host.unfinished(entry.uuid).map((uuid) => rankUuid(uuid, 0));
    const folder = `${wantClass(record.cluster, want, after)}.${rankUuid(entry.uuid, 0)}`;
    entry.name = `${wantKey(record, entry.reserved)}.${folder}`;
    entry.phase = 'sent';
    entry.want = want;
    entry.via = via.session;
    if (entry.reserved) this.presence.renew();
    const { snapshot, timeoutS, retries, run = 'true' } = record.spec;
    try {
      const answering = via.session.stage({
        name: entry.name,
        graceS: this.host.graceS,
        ...(snapshot === undefined ? {} : { snapshot }),
        ...(timeoutS === undefined ? {} : { timeoutS }),
        ...(retries === undefined ? {} : { retries }),
        env: this.host.environment(record),
        run,
        want,
        after,
      });
      this.passed(entry);
      const answer = await answering;
      if (!this.entries.isCurrent(entry)) return;
      if (answer.state === 'staged') this.confirm(entry);
      else await this.learn(entry, via.node, answer);
      this.unkicked = true;
    } catch (error) {
      // Of a connection that broke nobody knows what it carried: the node is asked when it is back.
      if (error instanceof SessionClosedError || !this.entries.isCurrent(entry)) return;
      this.blame(entry, via.node, via.session, error);
      this.release(entry);
    }
  }

  /** The node said no, and gets nothing for a while; a connection that broke is no fault of its. */
  private blame({ uuid }: Entry, node: string, session: AgentSession, error: unknown): void {
    if (!this.host.open().some((other) => other.session === session)) return;
    if (this.host.blame(uuid, node, error) !== undefined) this.spoiled.add(uuid);
  }

  /** Asks at once for what is to be taken back: one message per home, however many that are. */
  flushRecalls(): void {
    if (this.recalls.size === 0) return;
    const left = new Set([...this.recalls].filter(({ phase }) => phase === 'staged' || phase === 'sent'));
    this.recalls.clear();
    for (const { node, session } of this.host.open()) {
      const mine = [...left].filter(({ nodes }) => nodes.includes(node));
      for (const entry of mine) left.delete(entry);
      if (mine.length > 0) void this.takeBack(node, session, mine);
    }
  }

  /** `asked`: sessions that have failed to say. */
  private async takeBack(
    node: string,
    session: AgentSession,
    entries: readonly Entry[],
    asked: readonly AgentSession[] = [],
  ): Promise<void> {
    try {
      const states = await session.recall(entries.map(folderOf));
      // None after the other: by the time another node has answered, these states would be old.
      await Promise.all(
        entries.map(async (entry) => {
          const state = states.get(rankUuid(entry.uuid, 0));
          if (!state || !this.entries.isCurrent(entry)) return;
          if (state.state === 'recalled') this.release(entry);
          else await this.learn(entry, node, state);
        }),
      );
    } catch {
      this.askOthers(entries, [...asked, session]);
    }
    this.requeued();
  }

  /** Another node of the same home may be reached; else they are asked for when one is back, since `recall` is still set. */
  private askOthers(entries: readonly Entry[], asked: readonly AgentSession[]): void {
    const left = new Set(
      entries.filter((entry) => this.entries.get(entry.uuid) === entry && entry.phase !== 'unsure'),
    );
    for (const { node, session } of this.host.open()) {
      if (asked.includes(session)) continue;
      const mine = [...left].filter(({ nodes }) => nodes.includes(node));
      for (const entry of mine) left.delete(entry);
      if (mine.length > 0) void this.takeBack(node, session, mine, asked);
    }
  }

  /** What one node says of a job that is not staged there: it has it, or (of several that share a home) another has. */
  private async learn(entry: Entry, node: string, state: NodeJobState): Promise<void> {
    if (!this.entries.isCurrent(entry)) return;
    if (state.state !== 'unknown' && state.state !== 'new') {
      this.taken(entry.uuid, node, state);
      return;
    }
    const others = entry.nodes.filter((other) => other !== node);
    const open = this.host.open();
    for (const other of others) {
      const session = open.find((candidate) => candidate.node === other)?.session;
      // Taken back, not only asked for: by a connection that carries it there it may be staged only now.
      const states = await session?.recall([folderOf(entry)]).catch(() => undefined);
      const answer = states?.get(rankUuid(entry.uuid, 0));
      if (!this.entries.isCurrent(entry)) return;
      if (!answer) {
        entry.phase = 'unsure';
        this.host.reached(entry.uuid, false);
        return;
      }
      if (answer.state === 'recalled') break;
      if (answer.state !== 'unknown' && answer.state !== 'new') {
        this.taken(entry.uuid, other, answer);
        return;
      }
    }
    this.release(entry);
  }

  private confirm(entry: Entry): void {
    const before = entry.phase;
    entry.phase = 'staged';
    this.entries.moved();
    if (before === 'unsure') {
      this.recheck = true;
      this.stale = true;
      this.host.reached(entry.uuid, true);
    }
    if (entry.recall) {
      this.recalls.add(entry);
      this.plan();
    }
    // Moved while it was on its way.
    const record = this.host.find(entry.uuid);
    if (record && entry.name?.startsWith(`${wantKey(record, entry.reserved)}.`) !== true) this.requeued();
    this.host.changed();
  }

  private release(entry: Entry): void {
    const before = entry.phase;
    this.forget(entry);
    if (before === 'unsure') this.host.reached(entry.uuid, true);
    void this.host.store(entry.uuid, undefined).catch(() => undefined);
    this.host.recalled(entry.uuid);
    this.requeued();
  }

  private forget(entry: Entry): void {
    this.entries.remove(entry);
    entry.sync?.abort();
    this.passed(entry);
    this.wakeWaiters();
    this.recalls.delete(entry);
  }

  private wakeWaiters(): void {
    for (const wake of this.waiters.splice(0)) wake();
  }

  private async kick(): Promise<void> {
    this.unkicked = false;
    await Promise.allSettled(this.host.open().map(({ session }) => session.kick()));
  }

  private look({ node, session }: OpenNode): NodeLook {
    const definition = this.host.definition().nodes.find(({ name }) => name === node);
    return {
      node,
      session,
      definition,
      usable: definition?.inventory !== undefined && !this.host.closed(node),
      arriving: this.host.arriving(node),
    };
  }

  /** Whether a home that was full has room for many again: a few would not be worth a look at all that waits. */
  private isHalfEmpty({ nodes }: Home): boolean {
    const left = nodes.reduce((sum, { node }) => sum + this.entries.amount(node).count, 0);
    return left <= MOST_STAGED / 2;
  }
}

/** Whether a node could start the job by itself. */
export function isStageable({ demand, held, cancelling, spec }: JobRecord): boolean {
  return demand.numNodes === 1 && held !== true && cancelling !== true && spec.phase === undefined;
}
