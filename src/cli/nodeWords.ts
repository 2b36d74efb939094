import type { LaunchStep } from '../cluster';
import type { NodeView } from '../engine';
import { afterName, deviceLabel, type DeviceUsage } from '../queue';

/** A node in one line: `node-a: 3/4 V100-16GB free`, or why it cannot be used. */
export function nodeWords(node: NodeView): string {
  return `${node.name}: ${stateWords(node)}`;
}

/** What a node has free, or why it cannot be used. */
export function stateWords({ name, destination, link, usage, draining, about }: NodeView): string {
  switch (link.state) {
    case 'down':
      return afterName(link.message, name, destination);
    case 'idle':
      return 'not connected';
    case 'connecting':
      return 'still connecting';
    case 'up': {
      const why = about?.gpuTrouble === undefined ? '' : ` (${about.gpuTrouble})`;
      const free = gpuWords(usage?.devices ?? []) || `no GPU, ${usage?.cpus.total ?? 0} CPUs${why}`;
      const words = `${free}${othersWords(usage?.devices ?? [])}`;
      return draining === true ? `draining, ${words}` : words;
    }
  }
}

/** ` (GPU 1: bob, GPU 2: job 3 of cluster other)`: who else has a device; empty when nobody does. */
function othersWords(devices: readonly DeviceUsage[]): string {
  const others = devices.flatMap(({ index, foreign }) =>
    foreign === undefined ? [] : [`GPU ${deviceLabel(index)}: ${foreign || 'somebody'}`],
  );
  return others.length === 0 ? '' : ` (${others.join(', ')})`;
}

/** `3/4 V100-16GB free`, by kind of device; empty without any. */
export function gpuWords(devices: readonly DeviceUsage[]): string {
  const kinds = new Map<string, { free: number; total: number }>();
  for (const { name, free } of devices) {
    const sum = kinds.get(name) ?? { free: 0, total: 0 };
    kinds.set(name, { free: sum.free + free, total: sum.total + 1 });
  }
  return [...kinds]
    .map(([name, { free, total }]) => `${Math.round(free * 100) / 100}/${total} ${name} free`)
    .join(', ');
}

/** The command that goes on with a launch which failed. */
export function launchAgain(cluster: string, file: string | undefined): string {
  return `cq launch -c ${cluster} ${file ?? '…'}`;
}

/** What became of a launch whose jobs are not queued. */
export function launchWords(cluster: string, { name, message, file, job }: LaunchStep): string {
  const step = { connect: 'looking for hosts that fit', files: 'placing files', setup: 'running setup' }[
    name
  ];
  const log = job === undefined ? '' : `\n  its log: cq logs ${cluster} ${job}`;
  const again = launchAgain(cluster, file);
  return message === undefined
    ? `${cluster} is being launched: ${step} (if nothing launches it any more: ${again})`
    : `the launch of ${cluster} failed when ${step}: ${message}${log}\n  to go on with it: ${again}`;
}
