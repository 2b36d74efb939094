import { deviceLabel } from '../cluster/devices';
import { compileNeed, wantsGpu, type Need } from './demand';
import type { JobDemand, NodeDemand } from './job';
import type { DeviceState, NodeState } from './node';
import { acceptor, type NodeTable } from './nodeTable';
import type { SchedulerJob } from './ordered';
import { capable, refuse } from './refusal';
import { WHOLE } from './units';
import { amount, cpuWords, gigabytes, gpuWords, list, memoryWords } from './words';

/** Why a job that has not ended doesn't run yet, or what is wrong though it runs. */
export interface PendingReason {
  /**
   * `held`: by its user; `starting`: it fits, the next plan starts it; `resources`: others use what it needs;
   * `nodes`: nodes it needs are down or draining; `never`: no node left can ever host it; `files`: it is dispatched, and its
   * files are on their way; `trouble`: it runs, and a node of it cannot be reached, or not keep its log.
   */
  readonly kind: 'held' | 'starting' | 'resources' | 'nodes' | 'never' | 'files' | 'trouble';
  /**
   * Whether the job starts also while no client is on: it is staged on its node. False when only a client can start it;
   * absent when that is not decided yet.
   */
  readonly alone?: boolean;
  /** For a person, without capital and full stop. */
  readonly text: string;
  /** Place in the queue, 1 for the next; 0 with `files` and `trouble`. */
  readonly position: number;
  /** With `resources`: what is short on the node that is closest to hosting it; memory in MiB. */
  readonly missing?: Missing;
  /** With `nodes`: the ones that would do if they were up. */
  readonly waitsFor?: readonly string[];
}

export interface Missing {
  readonly what: 'gpu' | 'cpus' | 'memory';
  readonly node: string;
  readonly wanted: number;
  readonly free: number;
  /** Jobs that have some of it, and how much. */
  readonly holders: readonly { readonly job: string; readonly amount: number }[];
  /** Devices used outside the queue. */
  readonly foreign: readonly { readonly device: number; readonly by: string }[];
}

type Acceptor = (device: DeviceState) => boolean;
type Verdict = Omit<PendingReason, 'position'>;

/** Holders, devices and nodes a sentence names before it only counts. */
const MOST_NAMED = 4;

/** Explains a pending job; `label` is how a sentence calls a running one. */
export function explain(
  table: NodeTable,
  job: SchedulerJob,
  position: number,
  label: (job: string) => string,
): PendingReason {
  if (job.held === true) return { kind: 'held', text: 'held', position };
  const verdicts = job.demand.alternatives.map((demand) => explainOne(table, job.demand, demand, label));
  for (const kind of ['starting', 'resources', 'nodes'] as const) {
    const verdict = verdicts.find((candidate) => candidate?.kind === kind);
    if (verdict) return { ...verdict, position };
  }
  return { kind: 'never', text: refuse(table, job.demand) ?? 'needs what no node has', position };
}

function explainOne(
  table: NodeTable,
  job: JobDemand,
  demand: NodeDemand,
  label: (job: string) => string,
): Verdict | undefined {
  const need = compileNeed(demand);
  const accepts = acceptor(need.gpu);
  const able = [...table.all()].filter((node) => capable(node, need, accepts));
  if (able.length < job.numNodes) return undefined;
  const up = able.filter((node) => node.availability === 'up');
  if (up.length < job.numNodes) {
    return awaitNodes(
      able.filter((node) => node.availability !== 'up'),
      job.numNodes - up.length,
    );
  }
  const ready = up.filter((node) => table.hosts(node, need));
  if (ready.length >= job.numNodes) return { kind: 'starting', text: 'starts next' };
  const closest = closestOf(
    up.filter((node) => !ready.includes(node)),
    need,
    accepts,
  );
  if (!closest) return undefined;
  const missing = missingOn(closest, need, demand, accepts);
  const details = [
    ...missing.holders.map((holder) => `${label(holder.job)} has ${amountOf(missing.what, holder.amount)}`),
    ...missing.foreign.map(
      ({ device, by }) =>
        `GPU ${deviceLabel(device)} of ${closest.spec.id} is used${by === '' ? '' : ` by ${by}`}, outside this queue`,
    ),
  ];
  const shown = details.slice(0, MOST_NAMED);
  if (details.length > shown.length) shown.push(`${details.length - shown.length} more`);
  const users = shown.length === 0 ? '' : ` (${shown.join(', ')})`;
  const free = `${amountOf(missing.what, missing.free)} free`;
  const what = wantedWords(missing.what, job, demand);
  if (job.numNodes === 1) {
    const where = table.size > 1 ? ` on ${closest.spec.id}` : '';
    return { kind: 'resources', text: `waiting for ${what} on 1 node: ${free}${where}${users}`, missing };
  }
  const count = ready.length === 0 ? 'none has' : ready.length === 1 ? '1 has' : `${ready.length} have`;
  const text = `waiting for ${what} on ${job.numNodes} nodes: ${count} enough free; ${closest.spec.id} has ${free}${users}`;
  return { kind: 'resources', text, missing };
}

function awaitNodes(candidates: readonly NodeState[], wanted: number): Verdict {
  const states = new Set(candidates.map((node) => node.availability));
  const names = candidates.map((node) =>
    states.size === 1 ? node.spec.id : `${node.spec.id} (${node.availability})`,
  );
  const some = wanted < candidates.length ? `${wanted} of ` : '';
  const verb = candidates.length === 1 ? 'is' : 'are';
  const state = states.size === 1 ? `, which ${verb} ${[...states].join('')}` : '';
  return {
    kind: 'nodes',
    text: `waiting for ${some}${list(names, MOST_NAMED)}${state}`,
    waitsFor: candidates.map((node) => node.spec.id),
  };
}

/** The node that lacks the least: enough devices before many, many before few. */
function closestOf(nodes: readonly NodeState[], need: Need, accepts: Acceptor): NodeState | undefined {
  let best: { readonly node: NodeState; readonly free: number } | undefined;
  for (const node of nodes) {
    const free = Math.min(freeDevices(node, need, accepts), need.units * need.devices);
    if (!best || free > best.free) best = { node, free };
  }
  return best?.node;
}

/** Share units: of all wholly free devices, or for a fraction the most that one device has. */
function freeDevices(node: NodeState, need: Need, accepts: Acceptor): number {
  const rooms = matching(node, need, accepts).map((device) => device.room);
  if (need.units < WHOLE) return Math.max(0, ...rooms);
  return rooms.filter((room) => room === WHOLE).length * WHOLE;
}

function matching(node: NodeState, need: Need, accepts: Acceptor): DeviceState[] {
  return need.units === 0 ? [] : node.devices.filter(accepts);
}

function missingOn(node: NodeState, need: Need, demand: NodeDemand, accepts: Acceptor): Missing {
  const free = freeDevices(node, need, accepts);
  const used = new Map<string, number>();
  const add = (job: string, value: number): void => {
    if (value > 0) used.set(job, (used.get(job) ?? 0) + value);
  };
  const holders = (): Missing['holders'] => [...used].map(([job, value]) => ({ job, amount: value }));
  if (wantsGpu(demand) && free < need.units * need.devices) {
    const devices = matching(node, need, accepts);
    for (const device of devices)
      for (const holding of device.holdings) add(holding.job, holding.units / WHOLE);
    const foreign = devices.flatMap((device) =>
      device.foreign === undefined ? [] : [{ device: device.spec.index, by: device.foreign }],
    );
    const wanted = demand.gpu.count;
    return { what: 'gpu', node: node.spec.id, wanted, free: free / WHOLE, holders: holders(), foreign };
  }
  const what = node.cpus < need.cpus ? 'cpus' : 'memory';
  for (const holding of node.holdings) {
    add(holding.job, what === 'cpus' ? holding.cpus / 1000 : holding.memory / 1024);
  }
  return {
    what,
    node: node.spec.id,
    wanted: what === 'cpus' ? demand.cpus : demand.memoryMiB,
    free: Math.max(0, what === 'cpus' ? node.cpus / 1000 : node.memory / 1024),
    holders: holders(),
    foreign: [],
  };
}

function amountOf(what: Missing['what'], value: number): string {
  return what === 'memory' ? gigabytes(value) : amount(value);
}

function wantedWords(what: Missing['what'], job: JobDemand, demand: NodeDemand): string {
  if (what === 'cpus') return cpuWords(demand.cpus);
  if (what === 'memory') return memoryWords(demand.memoryMiB);
  const all = job.alternatives.map((alternative) =>
    wantsGpu(alternative) ? gpuWords(alternative.gpu) : cpuWords(alternative.cpus),
  );
  return [...new Set(all)].slice(0, MOST_NAMED).join(' or ');
}
