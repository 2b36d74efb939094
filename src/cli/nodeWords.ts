import type { NodeView } from '../engine';
import type { DeviceUsage } from '../queue';

/** A node in one line: `node-a: 3/4 V100-16GB free`, or why it cannot be used. */
export function nodeWords(node: NodeView): string {
  return `${node.name}: ${stateWords(node)}`;
}

/** What a node has free, or why it cannot be used. */
export function stateWords({ link, usage }: NodeView): string {
  switch (link.state) {
    case 'down':
      return link.message;
    case 'idle':
      return 'not connected';
    case 'connecting':
      return 'still connecting';
    case 'up':
      return gpuWords(usage?.devices ?? []) || `no GPU, ${usage?.cpus.total ?? 0} CPUs`;
  }
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
