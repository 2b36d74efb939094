import type { Need } from './demand';

interface Failure {
  readonly count: number;
  readonly share: number;
  readonly cpus: number;
  readonly memory: number;
}

/** Enough to remember the usual few limits of a cluster; forgetting one costs a search, never a wrong answer. */
const MOST_REMEMBERED = 16;

/**
 * Needs that were searched for in vain. While nothing gets freer, whoever needs as much or more of the same devices is
 * refused without a search; this keeps a full plan cheap when thousands of demands differ only in CPUs or memory.
 */
export class Failures {
  private readonly byGpu = new Map<string, Failure[]>();

  /** True when the need is known not to fit on so many nodes. */
  cover(need: Need, count: number): boolean {
    const share = need.units * need.devices;
    return (this.byGpu.get(need.gpuKey) ?? []).some(
      (known) =>
        known.count <= count &&
        known.share <= share &&
        known.cpus <= need.cpus &&
        known.memory <= need.memory,
    );
  }

  /** Remembers a search in vain. */
  add(need: Need, count: number): void {
    const list = this.byGpu.get(need.gpuKey);
    const failure = { count, share: need.units * need.devices, cpus: need.cpus, memory: need.memory };
    if (!list) this.byGpu.set(need.gpuKey, [failure]);
    else if (list.length < MOST_REMEMBERED) list.push(failure);
  }

  /** Forgets everything: something got freer. */
  clear(): void {
    this.byGpu.clear();
  }
}
