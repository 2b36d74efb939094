import type { JobRecord } from '../queue';
import { wantNodes, type Home, type NodeLook } from './homes';
import { newEntry, weightOf, type Entry } from './stagedJobs';
import { wantClass, wantKey, wantText } from './want';

/** What a look at the queue goes by. */
export interface QueueLook {
  /** In queue order. */
  readonly waiting: Iterable<JobRecord>;
  /** Homes that jobs can be staged on. They count what is assigned to them. */
  readonly homes: readonly Home[];
  /** What is known of a job that is on nodes, or on its way there. */
  entry(uuid: string): Entry | undefined;
  /** Nodes of which it is looked whether jobs are staged there by what is not so any more. */
  readonly recheck: readonly NodeLook[];
  /** Whether a job that is nowhere yet may be staged now. */
  isFree(record: JobRecord): boolean;
  /** What a waiting job still waits for. */
  unfinished(uuid: string): readonly string[];
  /** The node of a job that is dispatched, when it has only one. */
  nodeOf(uuid: string): string | undefined;
}

/** A staged job whose place has changed, and what it is called from now on. */
export interface Rename {
  readonly entry: Entry;
  readonly from: string;
  readonly to: string;
}

/** What is to be done after a look at the queue. */
export interface StagingPlan {
  /** These are to be taken back. */
  readonly outdated: readonly Entry[];
  /** These are behind a job that only a client can start and were not, or the other way round. */
  readonly turned: readonly Entry[];
  readonly renames: ReadonlyMap<Home, readonly Rename[]>;
  /** These are to be sent, in this order. */
  readonly assigned: readonly Entry[];
  /** One comes after a job that was assigned only later in this look: the next look may find a home for it. */
  readonly again: boolean;
}

// So many that cannot be staged now are passed over in one look at the queue.
const LOOK = 2_000;

/** Decides what is done with the queue as it is: what is to be staged where, under which name, and what is to come back. */
export function planStaging(look: QueueLook): StagingPlan {
  const outdated: Entry[] = [];
  const turned: Entry[] = [];
  const renames = new Map<Home, Rename[]>();
  const assigned = new Map<string, Entry>();
  let gang = false;
  let passed = 0;
  let early = false;
  let again = false;
  for (const record of look.waiting) {
    const behind = gang;
    if (record.demand.numNodes > 1 && record.held !== true) gang = true;
    const entry = look.entry(record.uuid);
    if (entry && isOutdated(entry, record, look.recheck)) outdated.push(entry);
    else if (entry) {
      if (entry.reserved !== behind) turned.push(entry);
      const renamed = rename(entry, record, behind);
      const home = renamed && look.homes.find((one) => has(one, entry));
      if (home) renames.set(home, [...(renames.get(home) ?? []), renamed]);
    } else if (passed++ > LOOK || look.homes.every((home) => home.full)) break;
    else if (!look.isFree(record)) continue;
    else {
      const fresh = assign(record, behind, look, assigned);
      if (fresh) {
        assigned.set(fresh.uuid, fresh);
        passed--;
        again ||= early;
      } else early ||= look.unfinished(record.uuid).length > 0;
    }
  }
  return { outdated, turned, renames, assigned: [...assigned.values()], again };
}

/** Whether its nodes were told of devices that they do not have any more, or have under other numbers. */
function isOutdated(entry: Entry, record: JobRecord, nodes: readonly NodeLook[]): boolean {
  if (nodes.length === 0 || entry.phase !== 'staged' || entry.recall) return false;
  const mine = nodes.filter(({ node }) => entry.nodes.includes(node));
  if (mine.length < entry.nodes.length) return false;
  const want = wantText(wantNodes(mine), record.demand);
  if (entry.want !== undefined) return entry.want !== want;
  // What it still waited for when an earlier engine staged it is not known, and is in the class too.
  return record.after === undefined && entry.name?.split('.')[1] !== wantClass(record.cluster, want, []);
}

function rename(entry: Entry, record: JobRecord, reserved: boolean): Rename | undefined {
  if (entry.phase !== 'staged' || entry.name === undefined || entry.recall) return undefined;
  const from = entry.name;
  const to = `${wantKey(record, reserved)}${from.slice(from.indexOf('.'))}`;
  return to === from ? undefined : { entry, from, to };
}

/** Whether a node of a home may start the job. */
function has({ nodes }: Home, entry: Entry): boolean {
  return nodes.some(({ node }) => entry.nodes.includes(node));
}

/** Gives a job to the home that will be free for it first, as far as that can be known. */
function assign(
  record: JobRecord,
  reserved: boolean,
  look: QueueLook,
  assigned: ReadonlyMap<string, Entry>,
): Entry | undefined {
  const before = look.unfinished(record.uuid);
  /** Whether a job that is waited for ends where this home sees it. */
  const isOn = (uuid: string, home: Home): boolean => {
    const entry = assigned.get(uuid) ?? look.entry(uuid);
    const node = look.nodeOf(uuid);
    return home.nodes.some((one) => one.node === node) || (entry !== undefined && has(home, entry));
  };
  const able = look.homes.filter(
    (home) =>
      !home.full &&
      before.every((other) => isOn(other, home)) &&
      home.nodes.some(({ want }) => want(record) !== undefined),
  );
  const [best] = able.sort((a, b) => a.load - b.load);
  if (!best) return undefined;
  const weight = weightOf(record);
  best.add({ count: 1, weight });
  return newEntry({
    uuid: record.uuid,
    weight,
    nodes: best.nodes.filter(({ want }) => want(record) !== undefined).map(({ node }) => node),
    phase: 'planned',
    recall: false,
    reserved,
    home: best.id,
    key: wantKey(record, false),
    files: record.spec.snapshot !== undefined,
  });
}
