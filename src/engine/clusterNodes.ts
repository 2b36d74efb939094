import type { ClusterDefinition, LaunchState, NodeDefinition, NodesChange } from '../cluster';
import type { AgentSession, NodeEvent, NodeFacts } from '../node';
import { afterName, type Placement, type Scheduler } from '../queue';
import type { Channel, Transport } from '../transport';
import { gpuTrouble, inventoryOf } from './inventory';
import { NodeLink, type LinkState } from './nodeLink';
import { twinsOf, twinWords } from './twins';
import { UnseenGpus } from './unseenGpus';
import type { NodeAbout } from './views';

/** Who has a device, in words, and the share of it that is left. */
export interface Elsewhere {
  readonly by: string;
  readonly free: number;
}

/** What a cluster's nodes need from the cluster around them. */
export interface NodesHost {
  /** Names the cluster and the queue that it belongs to. */
  readonly owner: string;
  connect(node: NodeDefinition, signal: AbortSignal): Promise<Transport>;
  /** Whether a person can be asked for what a login wants. */
  canAsk(): boolean;
  /** A session is open: everything that was on the node is asked for before the node takes new jobs. */
  reconcile(node: string, session: AgentSession): Promise<void>;
  event(node: string, event: NodeEvent): void;
  attached(node: string, session: AgentSession): void;
  /** Bytes that a node keeps of one log; 0 for no bound. */
  readonly logLimit: number;
  detached(node: string): void;
  /** What another cluster of this queue does with a device; `machine` is the node's own name for itself. */
  elsewhere(machine: string, lease: string): Elsewhere | undefined;
  /** Inventories changed: to be kept. */
  redefine(definition: ClusterDefinition): void;
  /** What the scheduler may start, or a view shows, has changed. */
  changed(): void;
}

// How soon a node whose disk was full is tried again.
const TROUBLE_RETRY_MS = 15_000;

// A clock that is off by less concerns nobody: what an answer takes on its way is in it.
const CLOCK_ODD_S = 10;

/** The nodes of one cluster: their connections, what they have, and whether they can take jobs. */
export class ClusterNodes {
  private readonly links = new Map<string, NodeLink>();
  /** Nodes that can be talked to but cannot take jobs, and why. */
  private readonly troubled = new Map<string, string>();
  private readonly unseen = new UnseenGpus((node) => this.lookFor(node));
  /** Nodes with a device that a process outside any queue was seen on. */
  private readonly shared = new Set<string>();
  /** Nodes that have been reached, or not, since there is this object. */
  private readonly tried = new Set<string>();
  /** What the last look at each node found, and how far its clock was ahead of ours then. */
  private readonly looks = new Map<string, { readonly facts: NodeFacts; readonly aheadS: number }>();
  /** What tells each machine from all others, also while it is not connected. */
  private readonly machines = new Map<string, string>();
  /** Nodes that are a machine which another one before them is. */
  private twins = twinsOf([], this.machines);
  private readonly timers = new Set<NodeJS.Timeout>();
  private closed = false;

  constructor(
    public definition: ClusterDefinition,
    private readonly scheduler: Scheduler,
    private readonly host: NodesHost,
  ) {
    for (const node of definition.nodes) this.link(node);
  }

  /** Adds, removes, drains; the caller stores the definition and has seen to it that nothing runs on what goes. */
  change({ add = [], remove = [], drain = [], undrain = [] }: NodesChange): void {
    for (const name of remove) {
      this.links.get(name)?.close();
      this.links.delete(name);
      this.troubled.delete(name);
      this.unseen.remove(name);
      this.shared.delete(name);
      this.looks.delete(name);
      this.tried.delete(name);
      this.machines.delete(name);
      if (this.find(name)) this.scheduler.removeNode(name);
    }
    const kept = this.definition.nodes.filter(({ name }) => !remove.includes(name));
    const changed = kept.map((node) => {
      const given = add.find(({ name }) => name === node.name);
      const { draining, ...rest } = given ? { ...node, ...given } : node;
      const drains = drain.includes(node.name) || (draining === true && !undrain.includes(node.name));
      return drains ? { ...rest, draining: true as const } : rest;
    });
    const fresh = add.filter(({ name }) => !kept.some((node) => node.name === name));
    this.definition = without({ ...this.definition, nodes: [...changed, ...fresh] }, remove);
    for (const node of fresh) this.link(node);
    this.compare();
    for (const { name } of changed) this.updateAvailability(name);
    this.host.changed();
  }

  find(name: string): NodeDefinition | undefined {
    return this.definition.nodes.find((node) => node.name === name);
  }

  /** Connects to all nodes that are not; with `now`, at once also those that wait or were given up. */
  want(now = false): void {
    for (const link of this.links.values()) link.want(now);
  }

  session(node: string): AgentSession | undefined {
    return this.links.get(node)?.session;
  }

  /** Nodes with an open session. */
  open(): {
    node: string;
    session: AgentSession;
    up: boolean;
    exec: (command: string) => Promise<Channel>;
  }[] {
    return [...this.links.values()].flatMap((link) => {
      const { node, session, state } = link;
      const exec = (command: string): Promise<Channel> => link.exec(command);
      return session ? [{ node, session, up: state.state === 'up', exec }] : [];
    });
  }

  /** Whether some nodes are up, and others are tried for the first time. */
  get isGathering(): boolean {
    if (this.tried.size === this.links.size) return false;
    const states = [...this.links.values()].map(({ node, state }) => [node, state.state] as const);
    return (
      states.some(([, state]) => state === 'up') &&
      states.some(([node, state]) => state === 'connecting' && !this.tried.has(node))
    );
  }

  /** Runs a command on a node beside its session. @throws ConnectError */
  async exec(node: string, command: string): Promise<Channel> {
    const link = this.links.get(node);
    if (!link) throw new Error(`the cluster has no node ${node}`);
    return link.exec(command);
  }

  /** Changes the GPUs that a node is said to have where none are found. */
  async declare(name: string, virtual: NodeDefinition['virtual']): Promise<void> {
    const node = this.find(name);
    if (!node || JSON.stringify(node.virtual) === JSON.stringify(virtual)) return;
    const session = this.session(name);
    // What it has is not known until it is looked at again.
    const { inventory, ...rest } = node;
    const declared = { ...rest, virtual, ...(session && inventory ? { inventory } : {}) };
    this.replace(declared);
    if (session) {
      await this.probe(name, session);
      return;
    }
    this.schedule(declared);
    this.links.get(name)?.want();
  }

  /** Looks at a node: what it has, and which devices somebody uses outside any queue. */
  async probe(node: string, session: AgentSession): Promise<void> {
    const facts = await session.probe();
    if (!facts.bash) throw this.unfit(node);
    const current = this.find(node);
    if (!current || this.closed) return;
    const now = Date.now() / 1000;
    this.looks.set(node, { facts, aheadS: Math.round((facts.clock ?? now) - now) });
    const trouble = gpuTrouble(current, facts);
    if (trouble !== undefined) {
      // What it had stays known: without it, jobs would be refused that it can run, or get what another has.
      this.unseen.add(node, `${node} cannot take jobs until its GPUs can be seen: ${trouble}`);
      this.updateAvailability(node);
      this.host.changed();
      return;
    }
    this.unseen.remove(node);
    this.updateAvailability(node);
    const inventory = inventoryOf(current, facts, session.node);
    if (JSON.stringify(inventory) !== JSON.stringify(current.inventory)) {
      const defined = { ...current, inventory };
      this.replace(defined);
      this.schedule(defined);
    }
    this.shared.delete(node);
    for (const device of inventory.devices) {
      const foreign = facts.foreign.find(({ gpuUuid }) => gpuUuid === device.lease);
      if (foreign || facts.held.some(({ lease }) => lease === device.lease)) this.shared.add(node);
      this.scheduler.setForeign(node, device.index, foreign?.user);
    }
    this.host.changed();
  }

  private lookFor(node: string): void {
    const session = this.session(node);
    // Else the next session begins with a look.
    if (!session) return;
    this.probe(node, session).catch(() => {
      if (this.session(node) === session) this.unseen.again(node);
    });
  }

  /** Looks again at nodes where somebody used a device: that may be over, and a job may wait for it. */
  lookAgain(): void {
    for (const { node, session } of this.open()) {
      if (this.shared.has(node)) this.probe(node, session).catch(() => undefined);
    }
  }

  /** The node cannot launch anything just now; what runs there goes on, and it is tried again later. */
  setTrouble(node: string, message: string): void {
    this.troubled.set(node, message);
    this.updateAvailability(node);
    this.later(TROUBLE_RETRY_MS, () => {
      this.troubled.delete(node);
      this.updateAvailability(node);
    });
    this.host.changed();
  }

  /** Takes nodes that could not launch anything for good again, before their time. */
  tryAgain(): void {
    const nodes = [...this.troubled.keys()];
    this.troubled.clear();
    for (const node of nodes) this.updateAvailability(node);
    if (nodes.length > 0) this.host.changed();
  }

  /** A device turned out to be another queue's, perhaps of this user; it is asked for again after so many ms. */
  setBusy(node: string, lease: string, user: string | undefined, retryMs: number): void {
    const device = this.find(node)?.inventory?.devices.find((candidate) => candidate.lease === lease);
    if (!device) return;
    const by = user === undefined ? 'another queue' : queueOf(user);
    this.scheduler.setForeign(node, device.index, this.elsewhere(node, device.index)?.by ?? by);
    // Whose it is then, and that it is free again, the next look says.
    this.shared.add(node);
    this.later(retryMs, () => {
      if (this.find(node)) this.scheduler.setForeign(node, device.index, undefined);
    });
  }

  /** The node has given these devices to a job: nobody else has them any more. */
  setIdle(node: string, devices: readonly number[]): void {
    for (const device of devices) this.scheduler.setForeign(node, device, undefined);
  }

  /** Does something later, unless the cluster is closed before; then what may start is looked at. */
  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
      this.host.changed();
    }, ms);
    this.timers.add(timer);
  }

  /** Who has a device of a node, where that is another cluster of this queue or the queue of another user. */
  elsewhere(node: string, index: number): Elsewhere | undefined {
    const device = this.find(node)?.inventory?.devices.find((candidate) => candidate.index === index);
    if (!device) return undefined;
    const machine = this.links.get(node)?.session?.node;
    const own = machine === undefined ? undefined : this.host.elsewhere(machine, device.lease);
    if (own) return own;
    const held = this.looks.get(node)?.facts.held.find(({ lease }) => lease === device.lease);
    return held && { by: queueOf(held.user), free: 0 };
  }

  /** The node that calls itself `machine`, and the number there of the device with this lease. */
  device(machine: string, lease: string): { readonly node: string; readonly index: number } | undefined {
    for (const { name, inventory } of this.definition.nodes) {
      if (this.links.get(name)?.session?.node !== machine) continue;
      const device = inventory?.devices.find((candidate) => candidate.lease === lease);
      if (device) return { node: name, index: device.index };
    }
    return undefined;
  }

  /** What a person may want to know of a node. */
  about(node: string): NodeAbout | undefined {
    const look = this.looks.get(node);
    if (!look) return undefined;
    const { os, diskMiB, driver, cuda, rsync, home, gpus, trouble } = look.facts;
    const way = this.links.get(node)?.transport;
    const alike = [...this.looks].filter(([other, { facts }]) => other !== node && facts.home === home);
    return {
      os,
      diskMiB,
      rsync,
      sharesHomeWith: home === '' ? [] : alike.map(([other]) => other),
      ...(driver === undefined ? {} : { driver }),
      ...(cuda === undefined ? {} : { cuda }),
      ...(trouble === undefined || gpus.length > 0 ? {} : { gpuTrouble: trouble }),
      ...(Math.abs(look.aheadS) < CLOCK_ODD_S ? {} : { clockAheadS: look.aheadS }),
      ...(way === undefined ? {} : { way }),
    };
  }

  /** The node that is the same machine as this one, and is used instead. */
  twinOf(node: string): string | undefined {
    return this.twins.get(node)?.first;
  }

  linkState(node: string): LinkState {
    const link = this.links.get(node)?.state ?? { state: 'idle' };
    const trouble = this.troubleOf(node);
    return trouble === undefined || link.state !== 'up' ? link : { state: 'down', message: trouble };
  }

  /** Why nodes cannot be used, in a few words; undefined when they can. */
  words(): string | undefined {
    const states = [...this.links.values()].map(({ node, state }) => ({ node, state }));
    const down = states.filter(({ state }) => state.state === 'down');
    const connecting = states.filter(({ state }) => state.state === 'connecting' || state.state === 'idle');
    if (connecting.length > 0 && down.length + connecting.length === states.length) {
      return `connecting to ${connecting.map(({ node }) => node).join(', ')}`;
    }
    const [trouble = this.unseen.first] = this.troubled.values();
    if (trouble !== undefined) return trouble;
    const why = down[0] && this.downWords(down[0].node);
    return why && `waiting for ${why}`;
  }

  /** Says which of a running job's nodes cannot be reached; undefined when all can. */
  away(placement: Placement | undefined): string | undefined {
    for (const { node } of placement?.ranks ?? []) {
      const why = this.downWords(node);
      if (why !== undefined) return `out of touch with ${why}`;
    }
    return undefined;
  }

  /** A node that cannot be reached, and why; undefined of any other. */
  private downWords(node: string): string | undefined {
    const link = this.links.get(node)?.state;
    return link?.state === 'down'
      ? `${node}: ${afterName(link.message, node, this.find(node)?.destination)}`
      : undefined;
  }

  private troubleOf(node: string): string | undefined {
    const twin = this.twins.get(node);
    return twin ? twinWords(twin) : (this.unseen.of(node) ?? this.troubled.get(node));
  }

  close(): void {
    this.closed = true;
    this.unseen.close();
    for (const timer of this.timers) clearTimeout(timer);
    for (const link of this.links.values()) link.close();
  }

  private link(node: NodeDefinition): void {
    const { name } = node;
    this.schedule(node);
    // As it is defined when it is connected to: its login may have been changed.
    const connect = (signal: AbortSignal): Promise<Transport> =>
      this.host.connect(this.find(name) ?? node, signal);
    const link = new NodeLink(name, `${this.host.owner}/${name}`, connect, {
      opened: (session) => this.opened(name, session),
      event: (event) => this.host.event(name, event),
      canAsk: () => this.host.canAsk(),
      changed: (state) => this.linkChanged(name, state),
    });
    this.links.set(name, link);
  }

  private async opened(node: string, session: AgentSession): Promise<void> {
    // Requests are taken in order: no job starts before.
    session.limitLogs(this.host.logLimit).catch(() => undefined);
    // A node met for the first time is looked at before it is used; a known one while it works.
    const known = this.find(node)?.inventory !== undefined;
    const probe = this.probe(node, session);
    if (known) probe.catch(() => undefined);
    else await probe;
    // Machines that were cloned may have one name, but have not started at one time.
    this.machines.set(node, `${session.node} ${session.boot}`);
    this.compare();
    await this.host.reconcile(node, session);
    this.host.attached(node, session);
  }

  private linkChanged(node: string, state: LinkState): void {
    if (this.closed) return;
    this.updateAvailability(node);
    if (state.state === 'up' || state.state === 'down') this.tried.add(node);
    if (state.state === 'down') this.host.detached(node);
    this.host.changed();
  }

  /** A node that was never reached has nothing to give, but its place: ranks go by the order of the definition. */
  private schedule(node: NodeDefinition): void {
    const given = this.twins.has(node.name) ? undefined : node.inventory;
    const { cpus, memoryMiB, devices } = given ?? { cpus: 0, memoryMiB: 0, devices: [] };
    this.scheduler.setNode({ id: node.name, cpus, memoryMiB, devices });
    this.updateAvailability(node.name);
  }

  /** Finds nodes that are one machine, whose devices would be given twice. */
  private compare(): void {
    const before = this.twins;
    this.twins = twinsOf(this.definition.nodes, this.machines);
    for (const node of this.definition.nodes)
      if (before.get(node.name)?.first !== this.twinOf(node.name)) this.schedule(node);
  }

  private updateAvailability(node: string): void {
    const defined = this.find(node);
    if (!defined) return;
    const up = this.links.get(node)?.state.state === 'up' && this.troubleOf(node) === undefined;
    this.scheduler.setNodeState(node, !up ? 'down' : defined.draining === true ? 'draining' : 'up');
  }

  private unfit(node: string): Error {
    const message = `${node} has no bash on its PATH, and jobs run by bash: install it there, or put its folder on the PATH of non-interactive shells`;
    this.links.get(node)?.fail(message);
    return new Error(message);
  }

  private replace(node: NodeDefinition): void {
    this.definition = {
      ...this.definition,
      nodes: this.definition.nodes.map((other) => (other.name === node.name ? node : other)),
    };
    this.host.redefine(this.definition);
    this.compare();
  }
}

/** A node that comes back under its name has none of the files that were placed on it before. */
function without(definition: ClusterDefinition, gone: readonly string[]): ClusterDefinition {
  const { launch } = definition;
  if (!launch?.placed || gone.length === 0) return definition;
  const placed = Object.entries(launch.placed).map(([destination, mount]) => [
    destination,
    { ...mount, nodes: mount.nodes.filter((name) => !gone.includes(name)) },
  ]);
  return {
    ...definition,
    launch: { ...launch, placed: Object.fromEntries(placed) as LaunchState['placed'] },
  };
}

function queueOf(user: string): string {
  return `${user}'s queue`;
}
