/** Samples of one side of a comparison, all in one unit. */
export interface Series {
  readonly label: string;
  readonly unit: string;
  readonly samples: readonly number[];
}

/** What is to be reached: a bound on a median, or on its ratio to another series' median. */
export interface Target {
  readonly of: string;
  /** Label of the series that `of` is divided by; its own unit otherwise. */
  readonly against?: string;
  /** Label of a series that is added to `against`. */
  readonly and?: string;
  readonly most?: number;
  readonly least?: number;
}

/** What a case needs to know of the run that it is part of. */
export interface Run {
  /** A smoke run: few rounds and small sizes. */
  readonly quick: boolean;
  /** True when the program can be run here. */
  readonly has: (program: string) => boolean;
}

/** What a case measured, and what its reader should know of how. */
export interface Outcome {
  readonly series: readonly Series[];
  readonly notes?: readonly string[];
}

/** One comparison of the benchmark. */
export interface Case {
  readonly name: string;
  readonly title: string;
  /** What a user would take instead. */
  readonly peer: string;
  readonly target: readonly Target[];
  /** What no implementation could beat: round trips, forks, flushes. */
  readonly floor: string;
  /** Where the time goes, when a target is missed. */
  readonly why?: string;
  /** @throws when the case cannot be measured here */
  run(run: Run): Promise<Outcome>;
}

/** Gathers samples by label, in the order in which labels first come. */
export class Samples {
  private readonly byLabel = new Map<string, { unit: string; samples: number[] }>();

  add(label: string, unit: string, ...samples: readonly number[]): void {
    const known = this.byLabel.get(label) ?? { unit, samples: [] };
    this.byLabel.set(label, known);
    known.samples.push(...samples);
  }

  series(): Series[] {
    return [...this.byLabel].map(([label, { unit, samples }]) => ({ label, unit, samples }));
  }
}

/** ms that a piece of work takes. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
