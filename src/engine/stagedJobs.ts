import type { AgentSession } from '../node';
import type { JobRecord } from '../queue';
import { NOTHING, type Amount } from './homes';
import { rankUuid } from './jobRun';

/** `planned`: not sent yet; `sent`: a node may or may not have it; `staged`: it has; `unsure`: asked for when it is back. */
export type Phase = 'planned' | 'sent' | 'staged' | 'unsure';

/** A job that a node may start by itself, or is about to be given. */
export interface Entry {
  readonly uuid: string;
  /** Devices, or CPUs for a job without. */
  readonly weight: number;
  /** The nodes that may start it: one, or those that share a home. */
  readonly nodes: readonly string[];
  phase: Phase;
  /** What its folder is called on the node. */
  name: string | undefined;
  /** It is to come back. */
  recall: boolean;
  /** The session that its folder was sent by. */
  via: AgentSession | undefined;
  /** Ends the sync of its files, as long as that is under way. */
  sync: AbortController | undefined;
  /** It comes after a job that only a client can start. */
  reserved: boolean;
  /** What its nodes were told that it wants; not known of one from before this engine. */
  want: string | undefined;
  /** The home that it was planned for; empty for one from before this engine. */
  readonly home: string;
  /** Its place in the queue then. */
  readonly key: string;
  /** Files have to be there before it. */
  readonly files: boolean;
  /** It has waited for one that comes before it, with its files. */
  waited: boolean;
}

/** An entry of which nothing was sent. */
export function newEntry(
  given: Pick<
    Entry,
    'uuid' | 'weight' | 'nodes' | 'phase' | 'recall' | 'reserved' | 'home' | 'key' | 'files'
  >,
): Entry {
  return { ...given, name: undefined, via: undefined, sync: undefined, want: undefined, waited: false };
}

/** The books of what is on nodes, or on its way there: each job once. */
export class StagedJobs {
  private readonly entries = new Map<string, Entry>();
  /** By the first of the nodes that may start them: how many entries there are, and their weight. */
  private readonly amounts = new Map<string, Amount>();
  private places: Map<string, number> | undefined;

  get(uuid: string): Entry | undefined {
    return this.entries.get(uuid);
  }

  has(uuid: string): boolean {
    return this.entries.has(uuid);
  }

  /** All there are now, however they change meanwhile. */
  all(): Entry[] {
    return [...this.entries.values()];
  }

  /** Whether this is what is known of its job: it was not given up since, nor planned anew. */
  isCurrent(entry: Entry): boolean {
    return this.entries.get(entry.uuid) === entry;
  }

  add(entry: Entry): void {
    this.entries.set(entry.uuid, entry);
    this.count(entry, 1);
  }

  remove(entry: Entry): void {
    if (this.entries.delete(entry.uuid)) this.count(entry, -1);
    this.moved();
  }

  /** What waits on homes whose first node this is. */
  amount(node: string): Amount {
    return this.amounts.get(node) ?? NOTHING;
  }

  /** How many wait on nodes. */
  get size(): number {
    let size = 0;
    for (const { phase } of this.entries.values()) if (phase === 'staged') size++;
    return size;
  }

  /** Phases or names have changed: so may have places. */
  moved(): void {
    this.places = undefined;
  }

  /** Where a job is staged, for a person: `staged on node-b, 3rd`; undefined when it is not (yet). */
  words(uuid: string): string | undefined {
    const entry = this.entries.get(uuid);
    if (entry?.phase === 'unsure')
      return `staged on ${entry.nodes.join(', ')}, which cannot be reached: it starts there, or when that is back`;
    if (entry?.phase !== 'staged') return undefined;
    this.places ??= placesOf(this.all());
    return `staged on ${entry.nodes.join(', ')}, ${ordinal(this.places.get(uuid) ?? 1)}`;
  }

  private count({ nodes: [first = ''], weight }: Entry, by: 1 | -1): void {
    const before = this.amount(first);
    this.amounts.set(first, { count: before.count + by, weight: before.weight + by * weight });
  }
}

/** What a node is asked for by; where its place there is not known the node looks for its UUID. */
export function folderOf({ name, uuid }: Pick<Entry, 'name' | 'uuid'>): string {
  return name ?? `0.0.${rankUuid(uuid, 0)}`;
}

/** Devices, or CPUs for a job without. */
export function weightOf({ demand }: JobRecord): number {
  const [first] = demand.alternatives;
  return first?.gpu?.count ?? first?.cpus ?? 1;
}

/** By job, its place among those of its home, from 1. */
function placesOf(entries: readonly Entry[]): Map<string, number> {
  const places = new Map<string, number>();
  const byHome = new Map<string, number>();
  const staged = entries.filter(({ phase }) => phase === 'staged');
  for (const { uuid, nodes } of staged.sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1))) {
    const home = nodes.join(' ');
    const place = (byHome.get(home) ?? 0) + 1;
    byHome.set(home, place);
    places.set(uuid, place);
  }
  return places;
}

function ordinal(n: number): string {
  const tens = n % 100;
  const suffix = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${suffix}`;
}
