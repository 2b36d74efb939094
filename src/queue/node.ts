import { WHOLE } from './units';

/** A GPU as the scheduler knows it. */
export interface SchedulerDevice {
  /** Unique on its node. */
  readonly index: number;
  /** Canonical name, e.g. `V100-32GB`. */
  readonly name: string;
  /** As nvidia-smi reports it. */
  readonly memoryMiB?: number;
  /** Devices of one group (NVLink, PCIe switch) are given together when possible. */
  readonly group?: string;
}

/** A node's inventory. */
export interface SchedulerNode {
  readonly id: string;
  /** Logical CPUs that jobs may use. */
  readonly cpus: number;
  readonly memoryMiB: number;
  /** In order of preference. */
  readonly devices: readonly SchedulerDevice[];
}

/** `draining` starts nothing new; `down` cannot be reached. */
export type NodeAvailability = 'up' | 'draining' | 'down';

/** What one rank of a running job holds of its node, in the scheduler's integers. */
export interface Holding {
  readonly job: string;
  readonly rank: number;
  readonly node: string;
  readonly devices: readonly number[];
  /** Share units of each of the devices. */
  readonly units: number;
  readonly cpus: number;
  readonly memory: number;
}

/** A device with what is on it. */
export interface DeviceState {
  readonly spec: SchedulerDevice;
  /** Devices with equal name and memory have equal kinds. */
  readonly kind: number;
  readonly holdings: Holding[];
  /** Who uses it outside this queue. */
  foreign: string | undefined;
  /** Share units that a job could get now. */
  room: number;
}

/** A node with what is on it. */
export interface NodeState {
  readonly ordinal: number;
  spec: SchedulerNode;
  availability: NodeAvailability;
  devices: DeviceState[];
  readonly holdings: Set<Holding>;
  /** Free amounts; negative when an inventory shrank under running jobs. */
  cpus: number;
  memory: number;
}

/** Brings `room` up to date after a change of the device. */
export function updateRoom(device: DeviceState): void {
  let used = 0;
  for (const holding of device.holdings) used += holding.units;
  device.room = device.foreign !== undefined ? 0 : Math.max(0, WHOLE - used);
}

/**
 * The devices a job gets of a node that has enough: under one switch when some group has enough (the fullest such
 * group, so that large groups stay whole), else from as few groups as possible; in the node's order of preference.
 */
export function chooseWhole(free: readonly DeviceState[], count: number): DeviceState[] {
  const groups = new Map<string | undefined, DeviceState[]>();
  for (const device of free) {
    const group = groups.get(device.spec.group);
    if (group) group.push(device);
    else groups.set(device.spec.group, [device]);
  }
  const chosen: DeviceState[] = [];
  while (chosen.length < count && groups.size > 0) {
    const missing = count - chosen.length;
    let best: DeviceState[] = [];
    let bestGroup: string | undefined;
    for (const [name, group] of groups) {
      const fits = group.length >= missing;
      const bestFits = best.length >= missing;
      const better = fits && bestFits ? group.length < best.length : group.length > best.length;
      if (best.length === 0 || better) [best, bestGroup] = [group, name];
    }
    chosen.push(...best.slice(0, missing));
    groups.delete(bestGroup);
  }
  return chosen;
}
