import type { Failures } from './failures';
import { Heap } from './heap';
import type { NodeState } from './node';
import type { NodeTable } from './nodeTable';
import { compareJobs, type SchedulerJob } from './ordered';
import type { Head, PendingJobs, Slot } from './pending';

/** With more freed nodes than this, asking each of them costs more than searching the whole cluster. */
const MANY_NODES = 16;

/** A stream of candidates in queue order. */
interface Source {
  head: Head;
  /** The next candidate past this job's place (or the first of all). */
  readonly after: (job: SchedulerJob | undefined) => Head | undefined;
}

/**
 * One walk through the queue, in order, that stops only at jobs which a change can have made startable. The caller may
 * start the job it is given (nothing else may change meanwhile), so what is free only shrinks during a sweep: a slot
 * whose devices nobody has is left for good, and a job that was passed over stays so.
 */
export class Sweep {
  private readonly sources: Heap<Source>;
  private last: SchedulerJob | undefined;

  constructor(
    pending: PendingJobs,
    private readonly nodes: NodeTable,
    private readonly freed: readonly NodeState[],
    private readonly failures: Failures,
  ) {
    const streams: Source['after'][] = [];
    const many = freed.length > MANY_NODES;
    // Then the slots give every job that could start, fresh ones too.
    if (many) pending.forgetFresh();
    else streams.push((job) => pending.fresh.firstAfter(job, () => true));
    for (const slot of pending.slots()) {
      streams.push((job) => (many ? this.searchable(slot, job) : this.hostedByFreed(slot, job)));
    }
    const sources = streams.flatMap((after): Source[] => {
      const head = after(undefined);
      return head ? [{ head, after }] : [];
    });
    this.sources = new Heap(sources, (a, b) => compareJobs(a.head.job, b.head.job));
  }

  /** The next job that may be startable, each at most once; undefined at the end. */
  next(): Head | undefined {
    for (let source = this.sources.first; source; source = this.sources.first) {
      const { head } = source;
      // A job with alternatives comes from several slots; one that was started may still be a source's head.
      if (!this.last || compareJobs(head.job, this.last) > 0) {
        this.last = head.job;
        return head;
      }
      const next = source.after(this.last);
      if (next) {
        source.head = next;
        this.sources.firstChanged();
      } else this.sources.removeFirst();
    }
    return undefined;
  }

  private hostedByFreed(slot: Slot, after: SchedulerJob | undefined): Head | undefined {
    const hosts = this.freed.filter((node) => this.nodes.hosts(node, slot.sample));
    if (hosts.length === 0) return undefined;
    const cpus = Math.max(...hosts.map((node) => node.cpus));
    const memory = Math.max(...hosts.map((node) => node.memory));
    return slot.heads.firstAfter(
      after,
      (head) =>
        head.leastCpus <= cpus &&
        head.leastMemory <= memory &&
        head.needs.some((need) => hosts.some((node) => need.cpus <= node.cpus && need.memory <= node.memory)),
    );
  }

  private searchable(slot: Slot, after: SchedulerJob | undefined): Head | undefined {
    if (!this.nodes.anyHosts(slot.sample)) return undefined;
    return slot.heads.firstAfter(after, ({ needs, demandClass }) =>
      needs.some((need) => !this.failures.cover(need, demandClass.demand.numNodes)),
    );
  }
}
