import type { JobRecord } from '../queue';

/** What a gathering asks of its cluster. */
export interface GatheringHost {
  /** Whether some nodes are up, and others are tried for the first time. */
  isReaching(): boolean;
  /** The jobs that wait, in queue order. */
  waiting(): Iterable<JobRecord>;
  /** Has what may start looked at after so many ms. */
  later(ms: number): void;
  /** ms since 1970 */
  now(): number;
}

// How long jobs that choose among nodes, or need several, wait for nodes that are just being reached: a slow login takes so long.
const GATHER_MS = 1_500;
// Of so many that wait, the first in the queue, one must be such a job.
const CHOOSING_AMONG = 1_000;

/**
 * Whether what starts now would depend on which node answers first: a gang would be overtaken, and a second choice taken,
 * while the node is being reached that lacks. Nodes are waited for so once.
 */
export class Gathering {
  private on = false;
  private until: number | undefined;

  constructor(private readonly host: GatheringHost) {}

  /** As of the last look. */
  get isOn(): boolean {
    return this.on;
  }

  /** Looks whether nodes are (still) waited for. */
  look(): boolean {
    return (this.on = this.isWorthIt() && this.isInTime());
  }

  private isWorthIt(): boolean {
    return this.host.isReaching() && isChoosing(this.host.waiting());
  }

  private isInTime(): boolean {
    if (this.until === undefined) {
      this.until = this.host.now() + GATHER_MS;
      this.host.later(GATHER_MS);
    }
    return this.host.now() < this.until;
  }
}

function isChoosing(waiting: Iterable<JobRecord>): boolean {
  let seen = 0;
  for (const { demand } of waiting) {
    if (demand.numNodes > 1 || demand.alternatives.length > 1) return true;
    if (++seen === CHOOSING_AMONG) return false;
  }
  return false;
}
