import type { ClusterDefinition, NodeDefinition } from '../cluster';
import type { AgentSession, NodeEvent } from '../node';
import type { Scheduler } from '../queue';
import type { Channel, Transport } from '../transport';
import { inventoryOf } from './inventory';
import { NodeLink, type LinkState } from './nodeLink';

/** What a cluster's nodes need from the cluster around them. */
export interface NodesHost {
  connect(node: NodeDefinition, signal: AbortSignal): Promise<Transport>;
  /** A session is open: everything that was on the node is asked for before the node takes new jobs. */
  reconcile(node: string, session: AgentSession): Promise<void>;
  event(node: string, event: NodeEvent): void;
  attached(node: string, session: AgentSession): void;
  detached(node: string): void;
  /** Inventories changed: to be kept. */
  redefine(definition: ClusterDefinition): void;
  /** What the scheduler may start, or a view shows, has changed. */
  changed(): void;
}

// How soon a node whose disk was full is tried again.
const TROUBLE_RETRY_MS = 15_000;
// How often a device that another queue has is asked for again while a job waits for it.
const BUSY_RETRY_MS = 2_000;

/** The nodes of one cluster: their connections, what they have, and whether they can take jobs. */
export class ClusterNodes {
  private readonly links = new Map<string, NodeLink>();
  /** Nodes that can be talked to but cannot take jobs, and why. */
  private readonly troubled = new Map<string, string>();
  /** Nodes with a device that a process outside any queue was seen on. */
  private readonly shared = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private closed = false;

  constructor(
    public definition: ClusterDefinition,
    private readonly scheduler: Scheduler,
    private readonly host: NodesHost,
  ) {
    for (const node of definition.nodes) {
      this.schedule(node);
      const link = new NodeLink(node.name, (signal) => host.connect(node, signal), {
        opened: (session) => this.opened(node.name, session),
        event: (event) => host.event(node.name, event),
        changed: (state) => this.linkChanged(node.name, state),
      });
      this.links.set(node.name, link);
    }
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
    this.replace({ ...node, virtual });
    const session = this.session(name);
    if (session) await this.probe(name, session);
    else this.links.get(name)?.want();
  }

  /** Looks at a node: what it has, and which devices somebody uses outside any queue. */
  async probe(node: string, session: AgentSession): Promise<void> {
    const facts = await session.probe();
    if (!facts.bash) throw this.unfit(node);
    const current = this.find(node);
    if (!current || this.closed) return;
    const inventory = inventoryOf(current, facts, session.node);
    if (JSON.stringify(inventory) !== JSON.stringify(current.inventory)) {
      const defined = { ...current, inventory };
      this.replace(defined);
      this.schedule(defined);
    }
    this.shared.delete(node);
    for (const device of inventory.devices) {
      const foreign = facts.foreign.find(({ gpuUuid }) => gpuUuid === device.lease);
      if (foreign) this.shared.add(node);
      this.scheduler.setForeign(node, device.index, foreign?.user);
    }
    this.host.changed();
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

  /** A device turned out to be another queue's; it is asked for again soon. */
  setBusy(node: string, lease: string): void {
    const device = this.find(node)?.inventory?.devices.find((candidate) => candidate.lease === lease);
    if (!device) return;
    this.scheduler.setForeign(node, device.index, 'another queue');
    this.later(BUSY_RETRY_MS, () => this.scheduler.setForeign(node, device.index, undefined));
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

  linkState(node: string): LinkState {
    const trouble = this.troubled.get(node);
    return trouble === undefined
      ? (this.links.get(node)?.state ?? { state: 'idle' })
      : { state: 'down', message: trouble };
  }

  /** Why nodes cannot be used, in a few words; undefined when they can. */
  words(): string | undefined {
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

  close(): void {
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const link of this.links.values()) link.close();
  }

  private async opened(node: string, session: AgentSession): Promise<void> {
    // A node met for the first time is looked at before it is used; a known one while it works.
    const known = this.find(node)?.inventory !== undefined;
    const probe = this.probe(node, session);
    if (known) {
      probe.catch(() => undefined);
      await this.host.reconcile(node, session);
    } else {
      await probe;
    }
    this.host.attached(node, session);
  }

  private linkChanged(node: string, state: LinkState): void {
    if (this.closed) return;
    this.updateAvailability(node);
    if (state.state === 'down') this.host.detached(node);
    this.host.changed();
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
  }
}
