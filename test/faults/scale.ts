/** True in `npm run faults`; false in the bounded part that `npm test` runs. */
export const long = process.env.CLUSTER_QUEUE_FAULTS === 'long';

/** How often a test does what it does: `CLUSTER_QUEUE_FAULTS_<NAME>` when set, else by the length of the run. */
export function times(name: string, bounded: number, full: number): number {
  const given = Number(process.env[`CLUSTER_QUEUE_FAULTS_${name}`]);
  if (Number.isInteger(given) && given > 0) return given;
  return long ? full : bounded;
}

/** Repeatable randomness (mulberry32): the same seed throws the same dice. */
export class Dice {
  private state: number;

  constructor(readonly seed: number) {
    this.state = seed;
  }

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.whole(0, list.length - 1)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }
}

/** The dice of one test; prints the seed, which `CLUSTER_QUEUE_FAULTS_SEED` sets for another go. */
export function throwDice(test: string): Dice {
  const given = Number(process.env.CLUSTER_QUEUE_FAULTS_SEED);
  const dice = new Dice(Number.isInteger(given) && given > 0 ? given : Date.now() % 2 ** 31);
  console.log(`      ${test}: CLUSTER_QUEUE_FAULTS_SEED=${dice.seed}`);
  return dice;
}

/** For where nothing can be waited for: the fault itself is a matter of time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
