import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ClusterDefinition, NodeDefinition } from '../../src/cluster';
import { Scheduler, type JobRecord, type Start } from '../../src/queue';

/** What a node's own files tell of a job that ran there; times in ns since 1970. */
export interface Seen {
  readonly record: JobRecord;
  readonly node: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly devices: readonly number[];
  readonly alternative: number;
  readonly code: number;
  readonly how: string;
}

/** Looks for a job that has ended in the home of a node; undefined when it has not ended there. */
export function seenOn(node: string, home: string, record: JobRecord): Seen | undefined {
  const folder = path.join(home, '.cluster-queue', node, 'jobs', `${record.uuid}-0`);
  if (!existsSync(path.join(folder, 'exit'))) return undefined;
  // What the node has added to a job that was staged has its name.
  const file = (name: string): string => {
    const own = path.join(folder, `${name}.${node}`);
    return existsSync(own) ? own : path.join(folder, name);
  };
  const words = (text: string): string[] => text.split(' ');
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  // From perl, what a job was given is the second line of who supervises it.
  const took = read('sup').split('\n')[1] || read('took');
  const time = (name: string): bigint => statSync(file(name), { bigint: true }).mtimeNs;
  const [code, , , how = ''] = words(read('exit'));
  const [devices = '-', alternative] = words(took);
  return {
    record,
    node,
    start: time('sup'),
    end: time('exit'),
    devices: devices === '-' ? [] : devices.split(',').map(Number),
    alternative: Number(alternative),
    code: Number(code),
    how,
  };
}

const MS = 1_000_000n;
// A look at the queue begins after an end; others that come while it lasts are seen by the next one.
const LOOK_NS = 1_000n * MS;
// Nodes that share a home take jobs from one folder at once; which of them was first within this, no clock tells.
const RACE_NS = 300n * MS;
// A node hears of an end on another one when it looks the next time, after two seconds at most.
const ELSEWHERE_NS = 2_500n * MS;

/**
 * Holds what nodes did while no client was on against the engine's scheduler, which is driven by the ends as they were.
 * What ran before all was staged is known by having no `staged`.
 */
export class Replay {
  private readonly byUuid: ReadonlyMap<string, Seen>;
  private readonly seen: readonly Seen[];

  constructor(
    private readonly cluster: ClusterDefinition,
    seen: readonly Seen[],
  ) {
    this.seen = [...seen].sort((a, b) => compare(a.start, b.start) || a.record.order - b.record.order);
    this.byUuid = new Map(seen.map((one) => [one.record.uuid, one]));
  }

  /** Each job started where, when and on which devices the scheduler would have it. */
  assertOrder(): void {
    for (const node of this.cluster.nodes) {
      const mine = this.seen.filter((one) => one.node === node.name);
      const starts = mine.filter(({ record }) => record.staged !== undefined);
      const ends = [...mine].sort((a, b) => compare(a.end, b.end));
      const trouble: string[] = [];
      assert.ok(this.follow({ node, starts, ends, trouble }, 0, 0), `${node.name}: ${trouble.join('; or ')}`);
    }
  }

  /**
   * For how long a device was idle while a staged job that fits waited: the least of these limits (ms, ascending) that
   * none was beyond. `times`: when each job began and ended. @throws AssertionError when it was for longer than the last
   */
  idle(limitsMs: readonly number[], times: (seen: Seen) => Pick<Seen, 'start' | 'end'>): number {
    const timed = this.seen.map((one) => ({ ...one, ...times(one) }));
    let waited: string | undefined;
    for (const limitMs of limitsMs) {
      waited = this.idler(timed, BigInt(limitMs) * MS);
      if (waited === undefined) return limitMs;
    }
    return assert.fail(`${waited} waited for more than ${limitsMs.at(-1)} ms though there was room`);
  }

  /** The first job that waited for longer than `limit` though there was room for it; in words. */
  private idler(timed: readonly Seen[], limit: bigint): string | undefined {
    for (const node of this.cluster.nodes) {
      const mine = timed.filter((one) => one.node === node.name);
      for (const event of mine.flatMap(({ start, end }) => [start, end])) {
        const at = event + limit;
        const held = mine.filter(({ start, end }) => start < at && end > at - limit);
        const waiting = timed.filter(
          ({ record, start }) =>
            start >= at &&
            record.staged?.nodes.includes(node.name) === true &&
            (record.after ?? []).every((uuid) => {
              const before = timed.find((one) => one.record.uuid === uuid);
              if (!before) return false;
              return before.end + (before.node === node.name ? 0n : ELSEWHERE_NS) <= at - limit;
            }),
        );
        const start = this.plan(node, held, waiting);
        if (start) return `job ${this.byUuid.get(start.id)?.record.id} (${node.name}, at ${at - limit} ns)`;
      }
    }
    return undefined;
  }

  private follow(side: Side, index: number, applied: number): boolean {
    const next = side.starts[index];
    if (!next) return true;
    const most = side.ends.filter(({ end }) => end <= next.start).length;
    for (let upTo = most; upTo >= applied; upTo--) {
      const missed = side.ends[upTo];
      if (upTo < most && missed && next.start - missed.end > LOOK_NS) break;
      for (const ends of orders(side.ends, applied, upTo)) {
        const one = { ...side, ends };
        if (this.agrees(one, next, upTo) && this.follow(one, index + 1, upTo)) return true;
      }
    }
    return false;
  }

  /** Whether the scheduler, when it has heard of so many ends, would start this job next, on these devices. */
  private agrees({ node, starts, ends, trouble }: Side, next: Seen, upTo: number): boolean {
    const ended = new Set(ends.slice(0, upTo));
    const first = starts.indexOf(next);
    const before = new Set([...ends.filter(({ record }) => !record.staged), ...starts.slice(0, first)]);
    const held = [...before].filter((one) => !ended.has(one));
    const waiting = this.seen.filter(
      (one) =>
        !before.has(one) &&
        (one.node === node.name || one.start > next.start) &&
        one.record.staged?.nodes.includes(node.name) === true &&
        (one.record.after ?? []).every((uuid) => {
          const other = this.byUuid.get(uuid);
          if (other?.code !== 0 || other.how !== 'exit') return false;
          return other.node === node.name ? ended.has(other) : other.end <= next.start;
        }),
    );
    for (;;) {
      const start = this.plan(node, held, waiting);
      const found = start && this.byUuid.get(start.id);
      if (start && found === next) {
        const { ranks, alternative } = start.placement;
        const same = ranks[0]?.devices.join() === next.devices.join() && alternative === next.alternative;
        if (!same)
          trouble.push(
            `job ${next.record.id} has devices ${next.devices.join()}, not ${ranks[0]?.devices.join()}`,
          );
        return same;
      }
      if (found && this.raced(node.name, found, next)) {
        waiting.splice(waiting.indexOf(found), 1);
        continue;
      }
      const holders = held.map(({ record }) => record.id).join(', ');
      trouble.push(
        `job ${next.record.id} began where job ${found?.record.id ?? 'none'} was the next; held by ${holders}`,
      );
      return false;
    }
  }

  /** Whether another node took the job, or let it be taken, in the same moment. */
  private raced(node: string, found: Seen, next: Seen): boolean {
    if (found.node !== node && found.start - next.start < RACE_NS) return true;
    return (found.record.after ?? []).some((uuid) => {
      const before = this.byUuid.get(uuid);
      return before !== undefined && before.node !== node && next.start - before.end < RACE_NS;
    });
  }

  private plan(
    { name, inventory }: NodeDefinition,
    held: readonly Seen[],
    waiting: readonly Seen[],
  ): Start | undefined {
    const scheduler = new Scheduler();
    const { cpus, memoryMiB, devices } = inventory ?? { cpus: 0, memoryMiB: 0, devices: [] };
    scheduler.setNode({ id: name, cpus, memoryMiB, devices });
    for (const { record, devices: given, alternative } of held)
      scheduler.adopt(jobOf(record), { ranks: [{ node: name, devices: given }], alternative });
    for (const { record } of waiting) scheduler.submit(jobOf(record));
    return scheduler.takeStarts()[0];
  }
}

/** A node, what started there in order, what ended there in order, and what did not agree. */
interface Side {
  readonly node: NodeDefinition;
  readonly starts: readonly Seen[];
  readonly ends: readonly Seen[];
  readonly trouble: string[];
}

/**
 * The orders of ends that the clock of the file system allows, as far as it matters which are the first `upTo`, of which
 * `applied` are known: what ended within one tick of it has the same time, and a look that came between saw some of it.
 */
function orders(ends: readonly Seen[], applied: number, upTo: number): (readonly Seen[])[] {
  const at = ends[upTo]?.end;
  const from = Math.max(
    applied,
    ends.findIndex(({ end }) => end === at),
  );
  if (at === undefined || from >= upTo) return [ends];
  const to = ends.findLastIndex(({ end }) => end === at) + 1;
  const tied = ends.slice(from, to);
  return choices(tied, upTo - from).map((first) => [
    ...ends.slice(0, from),
    ...first,
    ...tied.filter((one) => !first.includes(one)),
    ...ends.slice(to),
  ]);
}

/** All ways to take so many of these. */
function choices<T>(list: readonly T[], count: number): T[][] {
  const [one, ...rest] = list;
  if (count === 0) return [[]];
  if (one === undefined) return [];
  return [...choices(rest, count - 1).map((more) => [one, ...more]), ...choices(rest, count)];
}

function jobOf({ uuid, order, priority, demand }: JobRecord): Parameters<Scheduler['submit']>[0] {
  return { id: uuid, order, priority, demand };
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
