import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { JobRecord } from '../../src/queue';
import type { World } from '../support/world';
import { assertLog, Ledger } from './ledger';
import { noneLeft } from './processes';

/** Names of jobs that lie staged in a home, in queue order. */
export function stagedIn(home: string): string[] {
  const folder = path.join(home, '.cluster-queue', 'staged');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^\d/.test(name))
    .sort();
}

/** Nothing of any job is left: no process, no lock of a device, nothing staged. */
export async function nothingLeft(world: World, homes: readonly string[]): Promise<void> {
  await noneLeft(world.nodes.dir, 20_000);
  for (const home of homes) assert.deepEqual(stagedIn(home), [], `these are still staged in ${home}`);
  const { dir } = world.nodes;
  for (const folder of [dir, ...readdirSync(dir).map((name) => path.join(dir, name))]) {
    const leases = path.join(folder, 'leases');
    if (!existsSync(leases)) continue;
    for (const name of readdirSync(leases)) {
      const { status } = spawnSync('flock', ['-n', path.join(leases, name), 'true']);
      assert.equal(status, 0, `${name} is still locked`);
    }
  }
}

/** A log of a job whose disk was full at times: lines may be missing, but none is there twice or in disorder. */
export function assertLogInOrder(log: string, id: number, lines: number): void {
  const wanted = Ledger.log(id, lines).split('\n');
  let at = 0;
  for (const line of log.split('\n')) {
    const found = wanted.indexOf(line, at);
    assert.ok(found >= 0, `the log of job ${id} has ${JSON.stringify(line)} where it should not`);
    at = found + 1;
  }
}

/** Every line of every log of single-node jobs that succeeded is there once; of a gang as many as its ranks wrote. */
export async function assertLogs(
  world: World,
  cluster: string,
  records: readonly JobRecord[],
  lines: number,
  check = assertLog,
): Promise<void> {
  for (const { id, status, demand } of records) {
    if (status !== 'SUCCEEDED') continue;
    const log = await world.log(cluster, id);
    if (demand.numNodes === 1) check(log, id, lines);
    else assert.equal(log.split('\n').length - 1, demand.numNodes * lines, `the log of gang ${id}`);
  }
}

export interface Balance {
  readonly cluster: string;
  readonly homes: readonly string[];
  /** How many lines each job has logged. */
  readonly lines: number;
  /** Says whether a log is as it should be; `assertLog` unless given. */
  readonly check?: typeof assertLog;
}

/** Waits until all jobs of a cluster have ended, and holds them against the account. Returns how many ran. */
export async function balanced(
  world: World,
  ledger: Ledger,
  { cluster, homes, lines, check }: Balance,
  limitMs = 120_000,
): Promise<{ records: JobRecord[]; ran: number }> {
  const { engine } = world;
  await world.until(() => !engine.busy, 'all jobs have ended', limitMs);
  const records = engine.jobs(cluster, 1_000_000).map(({ record }) => record);
  const { ran } = ledger.balance(cluster, records);
  await assertLogs(world, cluster, records, lines, check);
  await nothingLeft(world, homes);
  return { records, ran };
}
