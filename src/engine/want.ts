import { createHash } from 'node:crypto';
import type { NodeDefinition } from '../cluster';
import { compileNeed, deviceAccepts, cpuUnits, memoryUnits, type JobDemand, type JobRecord } from '../queue';

/** A node as it stands in the `want` files of its staged jobs. */
export interface WantNode {
  readonly definition: NodeDefinition;
  /** Its own name for itself. */
  readonly id: string;
}

/**
 * The line of a staged job's `want` file for one node (see wire.ts), or undefined when the node can never run the job or
 * was never looked at.
 */
export function wantLine({ definition, id }: WantNode, demand: JobDemand): string | undefined {
  const { inventory } = definition;
  if (!inventory || demand.numNodes !== 1) return undefined;
  const cpus = cpuUnits(inventory.cpus);
  const kib = memoryUnits(inventory.memoryMiB);
  const alternatives = demand.alternatives.map((alternative) => {
    const need = compileNeed(alternative);
    const { gpu } = need;
    const devices = gpu === undefined ? [] : inventory.devices.filter((device) => deviceAccepts(gpu, device));
    const list = devices.map(({ index, lease }) => `${index}=${lease}`).join(',');
    return {
      text: [need.cpus, need.memory, need.units, need.devices, list].join(':'),
      possible: devices.length >= need.devices && need.cpus <= cpus && need.memory <= kib,
    };
  });
  if (!alternatives.some(({ possible }) => possible)) return undefined;
  return [id, inventory.ip, cpus, kib, ...alternatives.map(({ text }) => text)].join(' ');
}

/** A staged job's `want` file: a line for each of the nodes that can run it. */
export function wantText(nodes: readonly WantNode[], demand: JobDemand): string {
  return nodes
    .flatMap((node) => wantLine(node, demand) ?? [])
    .map((line) => `${line}\n`)
    .join('');
}

/** Names a class of staged jobs: those of one class all fit a node or none does. */
export function wantClass(cluster: string, want: string, after: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([cluster, want, after]))
    .digest('hex')
    .slice(0, 12);
}

/**
 * The first part of a staged job's name: sorts, byte by byte, as the queue does. `reserved`: a client that is on starts
 * the job itself.
 */
export function wantKey({ priority, order }: JobRecord, reserved: boolean): string {
  const rank = String(1_000_000 - priority).padStart(8, '0');
  return `${rank}-${sortable(order)}-${reserved ? 'a' : 'n'}`;
}

/** A number as 16 digits that sort as numbers do, however near two of them are: its bits, with those below zero reversed. */
function sortable(number: number): string {
  const bytes = Buffer.alloc(8);
  // Not -0, which would come before 0.
  bytes.writeDoubleBE(number + 0);
  const bits = bytes.readBigUInt64BE();
  const sign = 1n << 63n;
  return BigInt.asUintN(64, bits & sign ? ~bits : bits | sign)
    .toString(16)
    .padStart(16, '0');
}
