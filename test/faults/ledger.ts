import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { JobRecord } from '../../src/queue';

/** One rank that ran, as it told itself, by the clock of the machine in ns since 1970. */
export interface Run {
  readonly node: string;
  /** `OWNER/ID/RANK`; the owner is who submitted it. */
  readonly rank: string;
  readonly devices: readonly string[];
  readonly start: bigint;
  /** Absent when it was killed. */
  readonly end?: bigint;
}

/** What a job of the suite is made of. */
export interface LedgerJob {
  readonly owner: string;
  /** GPUs per node; 0 for none. */
  readonly gpus: number;
  readonly lines: number;
  /** Seconds between its start and its end. */
  readonly seconds: number;
  /** More of the task file: YAML lines. */
  readonly more?: string;
  /** What it takes, as YAML lines below `resources:`, when that is not so many V100. */
  readonly resources?: readonly string[];
  /** A last line of its `run`. */
  readonly last?: string;
}

/** What the jobs themselves write, by appends too short to tear: the account that the suite balances. */
export class Ledger {
  constructor(private readonly file: string) {}

  /** A task file whose job tells of its start and its end, and logs lines of which none looks like another. */
  task({ owner, gpus, lines, seconds, more = '', resources, last = 'true' }: LedgerJob): string {
    const takes = resources ?? [gpus > 0 ? `accelerators: V100:${gpus}` : 'cpus: 0.5'];
    const note = (letter: string): string =>
      `echo "${letter} $CLUSTER_QUEUE_NODE ${owner}/$SKYPILOT_INTERNAL_JOB_ID/$SKYPILOT_NODE_RANK \${CUDA_VISIBLE_DEVICES:--} $(date +%s%N)" >> ${this.file}`;
    return `${more}
resources:
  ${takes.join('\n  ')}
run: |
  ${note('S')}
  for i in {1..${lines}}; do echo "line $i of $SKYPILOT_INTERNAL_JOB_ID"; done
  sleep ${seconds}
  ${note('E')}
  ${last}
`;
  }

  /** The log that such a job leaves. */
  static log(id: number, lines: number): string {
    return Array.from({ length: lines }, (_, index) => `line ${index + 1} of ${id}\n`).join('');
  }

  runs(): Run[] {
    const text = existsSync(this.file) ? readFileSync(this.file, 'utf8') : '';
    const runs: Run[] = [];
    const ends = new Map<string, bigint[]>();
    const lines = text.split('\n').filter((line) => line !== '');
    for (const line of lines) {
      const [letter, , rank = '', , at = ''] = line.split(' ');
      if (letter === 'E') ends.set(rank, [...(ends.get(rank) ?? []), BigInt(at)]);
    }
    for (const line of lines) {
      const [letter, node = '', rank = '', devices = '', at = ''] = line.split(' ');
      if (letter !== 'S') continue;
      const end = ends.get(rank)?.shift();
      runs.push({
        node,
        rank,
        devices: devices === '-' ? [] : devices.split(','),
        start: BigInt(at),
        ...(end === undefined ? {} : { end }),
      });
    }
    for (const [rank, left] of ends) assert.deepEqual(left, [], `${rank} ended more often than it began`);
    return runs;
  }

  /**
   * The balance: what succeeded ran once on each rank from its start to its end, what waits did not run, what was
   * cancelled ran at most once, nobody ran whom the queue does not know, and no device had two owners.
   */
  balance(owner: string, records: readonly JobRecord[]): { ran: number } {
    const mine = this.runs().filter(({ rank }) => rank.startsWith(`${owner}/`));
    const byRank = new Map<string, Run[]>();
    for (const run of mine) byRank.set(run.rank, [...(byRank.get(run.rank) ?? []), run]);
    for (const record of records) {
      for (let rank = 0; rank < record.demand.numNodes; rank++) {
        const name = `${owner}/${record.id}/${rank}`;
        const runs = byRank.get(name) ?? [];
        byRank.delete(name);
        if (record.status === 'SUCCEEDED') {
          assert.equal(runs.length, 1, `${name} succeeded and ran ${runs.length} times`);
          assert.notEqual(runs[0]?.end, undefined, `${name} succeeded without coming to its end`);
        } else if (record.status === 'PENDING') {
          assert.equal(runs.length, 0, `${name} waits and ran ${runs.length} times`);
        } else {
          assert.ok(runs.length <= 1, `${name} (${record.status}) ran ${runs.length} times`);
        }
      }
    }
    assert.deepEqual([...byRank.keys()], [], 'these ran, and the queue does not know them');
    this.assertNoOverlap();
    return { ran: mine.length };
  }

  /** No device had two owners at any moment. Runs without an end are left out: nobody noted when they were killed. */
  assertNoOverlap(): void {
    const byDevice = new Map<string, (Run & { end: bigint })[]>();
    for (const run of this.runs()) {
      const { end } = run;
      if (end === undefined) continue;
      for (const device of run.devices) {
        const key = `${run.node}:${device}`;
        byDevice.set(key, [...(byDevice.get(key) ?? []), { ...run, end }]);
      }
    }
    for (const [device, runs] of byDevice) {
      runs.sort((a, b) => (a.start < b.start ? -1 : 1));
      runs.forEach((run, index) => {
        const next = runs[index + 1];
        if (next) assert.ok(run.end <= next.start, `${device} had ${run.rank} and ${next.rank} at once`);
      });
    }
  }
}

/** The log of a job of the ledger has every line once, in order; says in one line what is wrong when not. */
export function assertLog(log: string, id: number, lines: number): void {
  const wanted = Ledger.log(id, lines);
  if (log === wanted) return;
  const got = log.split('\n');
  const at = wanted.split('\n').findIndex((line, index) => line !== got[index]);
  assert.fail(
    `the log of job ${id} differs at line ${at + 1} of ${lines}: ${JSON.stringify(got[at])}; it has ${got.length - 1} lines, ${log.length} bytes instead of ${wanted.length}`,
  );
}
