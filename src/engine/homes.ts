import type { NodeDefinition } from '../cluster';
import type { AgentSession } from '../node';
import type { JobRecord } from '../queue';
import { wantLine, type WantNode } from './want';

/** So many jobs wait on one home at a time; the others follow when these have gone down to half. */
export const MOST_STAGED = 1_000;

/** How many jobs, and what they weigh together. */
export interface Amount {
  readonly count: number;
  /** Devices, or CPUs for jobs without. */
  readonly weight: number;
}

export const NOTHING: Amount = { count: 0, weight: 0 };

/** A node as it is when the queue is looked at. */
export interface NodeLook {
  readonly node: string;
  readonly session: AgentSession;
  readonly definition: NodeDefinition | undefined;
  /** It may be given jobs. */
  readonly usable: boolean;
  /** Its home may not be given jobs yet. */
  readonly arriving: boolean;
}

/** The nodes, as the `want` files of jobs know them. */
export function wantNodes(nodes: readonly NodeLook[]): WantNode[] {
  return nodes.flatMap(({ definition, session }) => (definition ? [{ definition, id: session.node }] : []));
}

/** Whether anything has changed from one look at the nodes to the other. */
export function differ(some: readonly NodeLook[], others: readonly NodeLook[]): boolean {
  return (
    some.length !== others.length ||
    some.some(({ session, definition, usable, arriving }, at) => {
      const other = others[at];
      return (
        session !== other?.session ||
        definition !== other.definition ||
        usable !== other.usable ||
        arriving !== other.arriving
      );
    })
  );
}

/** Nodes that share a home, mostly one. */
export class Home {
  readonly nodes: {
    readonly node: string;
    readonly session: AgentSession;
    /** What the node is told that a job wants; undefined when it can never start it. */
    readonly want: (record: JobRecord) => string | undefined;
  }[] = [];
  private capacity = 0;
  private taken = 0;
  private count = 0;

  constructor(readonly id: string) {}

  /** A node has part in it: with so many devices (CPUs, without), of which jobs hold `load`, 0 to 1. */
  share(capacity: number, load: number): void {
    this.capacity += capacity;
    this.taken += load * capacity;
  }

  /** So much waits on it besides. */
  add({ count, weight }: Amount): void {
    this.count += count;
    this.taken += weight;
  }

  /** What is held and waited for, by what there is. */
  get load(): number {
    return this.taken / Math.max(1, this.capacity);
  }

  get full(): boolean {
    return this.count >= MOST_STAGED;
  }
}

/**
 * The homes that jobs can be staged on now.
 * @param load of a node: the share of its devices that jobs hold, 0 to 1
 * @param staged what waits on a node
 */
export function homesOf(
  nodes: readonly NodeLook[],
  load: (node: string) => number,
  staged: (node: string) => Amount,
): Home[] {
  const homes = new Map<string, Home>();
  const waiting = new Set(nodes.filter(({ arriving }) => arriving).map(({ session }) => session.home));
  for (const { node, session, definition, usable } of nodes) {
    if (!usable || !definition?.inventory || waiting.has(session.home)) continue;
    const { inventory } = definition;
    const home = homes.get(session.home) ?? new Home(session.home);
    homes.set(session.home, home);
    const wants = new Map<JobRecord['demand'], string | undefined>();
    home.nodes.push({
      node,
      session,
      want: ({ demand }) => {
        if (!wants.has(demand)) wants.set(demand, wantLine({ definition, id: session.node }, demand));
        return wants.get(demand);
      },
    });
    home.share(inventory.devices.length || inventory.cpus, load(node));
    home.add(staged(node));
  }
  return [...homes.values()];
}
