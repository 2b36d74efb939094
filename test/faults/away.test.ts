import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { median } from '../../bench/statistics';
import type { JobRecord } from '../../src/queue';
import { haveSshd, type GpuOfNode } from '../support/sshd';
import type { World } from '../support/world';
import type { AwayJob, AwayReport, AwaySettings } from './awayHost';
import { eachWorld } from './eachWorld';
import { Ledger } from './ledger';
import { buildProgram, noneLeft, startProgram } from './processes';
import { Replay, seenOn, type Seen } from './replay';
import { long, pause, throwDice, times, type Dice } from './scale';

const run = promisify(execFile);
const LINES = 12;
const CPUS = 8;
/** How long a device may be idle while a job that fits waits: some, and so many starts of a shell on this machine now. */
const IDLE = { ms: 500, shells: 30 };

/** How a job is to end. */
type Kind = 'plain' | 'fails' | 'retried' | 'slow';

interface Planned extends AwayJob {
  readonly kind: Kind;
}

describe('a queue whose laptop is closed', function () {
  if (!haveSshd) return;
  this.timeout(long ? 600_000 : 120_000);
  let world: World;
  let ledger: Ledger;
  eachWorld((...made) => ([world, ledger] = made));

  const V100: GpuOfNode = { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16_384 };
  const V100_32: GpuOfNode = { name: 'Tesla V100-SXM2-32GB', count: 3, memoryMiB: 32_768 };
  const A100: GpuOfNode = { name: 'NVIDIA A100-SXM4-40GB', count: 4, memoryMiB: 40_960 };
  const four = [
    { node: 'node-a', gpus: V100 },
    { node: 'node-b', gpus: { ...V100, count: 2 } },
    { node: 'node-c', gpus: A100 },
    { node: 'node-d', gpus: V100_32 },
  ];
  const blockers: Readonly<Record<string, string>> = {
    'node-a': 'V100:4',
    'node-b': 'V100:2',
    'node-c': 'A100:4',
    'node-d': 'V100-32GB:3',
  };

  interface Case {
    readonly title: string;
    readonly nodes: readonly { readonly node: string; readonly gpus: GpuOfNode }[];
    readonly shared: boolean;
    /** What jobs ask for, as YAML lines below `resources:`. */
    readonly demands: readonly (readonly string[])[];
  }
  const cpus = ['cpus: 2'];
  const gpus = (...names: string[]): string[][] => names.map((name) => [`accelerators: ${name}`]);
  const mixed = [
    ...gpus('V100:1', 'V100:1', 'V100:2', 'V100:3', 'V100:4', 'A100:1', 'A100:3', 'V100-32GB:2'),
    ...gpus('{V100: 4, A100: 2}'),
    ['accelerators: V100:1', 'cpus: 3'],
    cpus,
  ];
  const cases: readonly Case[] = [
    {
      title: 'on one node',
      nodes: four.slice(0, 1),
      shared: false,
      demands: [...gpus('V100:1', 'V100:2', 'V100:3', 'V100:4'), ['accelerators: V100:1', 'cpus: 3'], cpus],
    },
    { title: 'on four nodes with homes of their own', nodes: four, shared: false, demands: mixed },
    { title: 'on four nodes that share one home', nodes: four, shared: true, demands: mixed },
  ];

  /** The jobs of one night: first one for each node, which has all of it until somebody says `go`. */
  const plan = (dice: Dice, { nodes, demands, shared }: Case, count: number): Planned[] => {
    const jobs: Planned[] = nodes.map(({ node }) => ({
      kind: 'plain',
      yaml: `resources: {accelerators: "${blockers[node] ?? ''}", cpus: ${CPUS}}\nrun: while [ ! -e ~/go ]; do sleep 0.02; done\n`,
    }));
    const takes = nodes.map((): readonly string[] => []);
    while (jobs.length < count + nodes.length) {
      const kind: Kind = dice.chance(0.8) ? 'plain' : dice.pick(['fails', 'retried', 'slow'] as const);
      const after = dice.chance(0.15) ? dice.whole(nodes.length, jobs.length - 1) : -1;
      // With homes of their own it asks for the same, so that it can lie where that one does.
      const resources = (shared ? undefined : takes[after]) ?? dice.pick(demands);
      takes.push(resources);
      const yaml = ledger.task({
        owner: 'c',
        gpus: 0,
        resources,
        lines: LINES,
        seconds: kind === 'slow' ? 300 : dice.whole(1, long ? 20 : 3) / 10,
        ...(kind === 'fails' ? { last: 'exit 3' } : {}),
        ...(kind === 'retried' ? { last: '[ "$CLUSTER_QUEUE_TRY" = 2 ] || exit 4' } : {}),
      });
      jobs.push({
        kind,
        yaml,
        ...(after > nodes.length ? { after: [after] } : {}),
        ...(kind === 'slow' ? { timeoutS: 1 } : {}),
        ...(kind === 'retried' ? { retries: 1 } : {}),
      });
    }
    return jobs;
  };

  /** Submits the jobs by a process of its own, which is killed as soon as all are staged. */
  const submitAndDie = async (jobs: readonly Planned[], running: number): Promise<JobRecord[]> => {
    const settings: AwaySettings = {
      home: world.home,
      sshConfigFile: world.nodes.configFile,
      cluster: 'c',
      jobs,
      running,
    };
    const host = startProgram(buildProgram('awayHost'), settings);
    const gone = once(host, 'exit');
    const late = setTimeout(() => host.kill('SIGKILL'), 60_000);
    const records = await new Promise<readonly JobRecord[]>((resolve, reject) => {
      host.on('message', (report: AwayReport) => {
        if ('staged' in report) resolve(report.staged);
        else reject(new Error(`the host said: ${report.trouble}`));
      });
      host.once('exit', () => reject(new Error('not all was staged within a minute')));
    });
    clearTimeout(late);
    host.kill('SIGKILL');
    await gone;
    return [...records].sort((a, b) => a.id - b.id);
  };

  for (const one of cases) {
    it(`${one.title} goes on as if it had been open`, async () => {
      const dice = throwDice(one.title);
      const count = times('AWAY', one.nodes.length === 1 ? 40 : 24, 120);
      const bin = path.join(world.home, 'bin');
      mkdirSync(bin);
      writeFileSync(path.join(bin, 'nproc'), `#!/bin/sh\necho ${CPUS}\n`, { mode: 0o755 });
      const homes = new Map<string, string>();
      const shared = path.join(world.home, 'shared');
      for (const { node, gpus: has } of one.nodes) {
        const env = { CLUSTER_QUEUE_RETRY_PAUSE: '1' };
        const { home } = await world.nodes.add(node, {
          gpus: has,
          bin,
          env,
          ...(one.shared ? { home: shared } : {}),
        });
        homes.set(node, home);
      }
      await world.open();
      await world.cluster(
        'c',
        one.nodes.map(({ node }) => node),
      );
      const definition = world.engine.definition('c');
      await world.shut();

      const jobs = plan(dice, one, count);
      const records = await submitAndDie(jobs, one.nodes.length);
      const kindOf = ({ id }: JobRecord): Kind => jobs[id - 1]?.kind ?? 'plain';
      /** Comes after one that fails, or after one that does. */
      const isDoomed = ({ after = [] }: JobRecord): boolean =>
        after.some((uuid) => {
          const before = records.find((record) => record.uuid === uuid);
          return before !== undefined && (isDoomed(before) || ['fails', 'slow'].includes(kindOf(before)));
        });
      const runs = records.filter((record) => !isDoomed(record));
      for (const home of new Set(homes.values())) writeFileSync(path.join(home, 'go'), '');
      const { seen, shellMs } = await allSeen(runs, homes);
      const most = Math.round(IDLE.ms + IDLE.shells * shellMs);

      // The nodes are alone, and done: what they had is free, and nothing of them is left.
      await noneLeft(world.nodes.dir);
      await noneLeft(shared);
      for (const { node } of one.nodes) assertFree(path.join(world.nodes.dir, node, 'leases'));
      const replay = new Replay(definition, seen);
      replay.assertOrder();
      ledger.assertNoOverlap();
      const byRank = new Map<string, { start: bigint; end?: bigint }[]>();
      for (const other of ledger.runs()) byRank.set(other.rank, [...(byRank.get(other.rank) ?? []), other]);
      for (const record of records.slice(one.nodes.length)) {
        const mine = byRank.get(`c/${record.id}/0`) ?? [];
        const tries = kindOf(record) === 'retried' ? 2 : 1;
        assert.equal(mine.length, isDoomed(record) ? 0 : tries, `job ${record.id} ran ${mine.length} times`);
        const cut = kindOf(record) === 'slow';
        const atEnd = mine.filter(({ end }) => end !== undefined).length;
        assert.equal(
          atEnd,
          cut ? 0 : mine.length,
          `job ${record.id} (${kindOf(record)}) came to its end ${atEnd} times`,
        );
      }
      // By the jobs' own clocks where those tell of all that was held.
      const idle = replay.idle([20, 50, 100, 200, 400, most], ({ record, start, end }) => {
        const [ran] = byRank.get(`c/${record.id}/0`) ?? [];
        const own = ['plain', 'fails'].includes(kindOf(record));
        return ran?.end !== undefined && own ? { start: ran.start, end: ran.end } : { start, end };
      });

      await world.open();
      world.engine.connect('c');
      await world.until(() => !world.engine.busy, 'the engine has heard of all');
      for (const before of records) {
        const { record } = world.engine.job('c', before.id);
        const ran = seen.find((other) => other.record.id === before.id);
        if (!ran) {
          assert.equal(record.status, 'CANCELLED', `job ${record.id}`);
          continue;
        }
        const kind = kindOf(before);
        const expected = { plain: 0, fails: 3, retried: 0, slow: 143 }[kind];
        assert.deepEqual(
          [record.status, record.exitCodes, record.tries ?? 1],
          [expected === 0 ? 'SUCCEEDED' : 'FAILED', [expected], kind === 'retried' ? 2 : 1],
          `job ${record.id}: ${record.message ?? ''}`,
        );
        if (kind === 'slow') assert.match(record.message ?? '', /time limit of 1s/);
        const { devices, alternative, node } = ran;
        assert.deepEqual(record.placement, { ranks: [{ node, devices }], alternative });
        // Ages come in whole seconds.
        assertNear(record.startedAt, ran.start);
        assertNear(record.endedAt, ran.end);
        const lines = Ledger.log(record.id, before.id > one.nodes.length ? LINES : 0);
        const log = await world.log('c', record.id);
        if (kind === 'retried')
          assert.equal(log, `${lines}[cluster-queue] exit code 4; try 2 of 2 in 1 s\n${lines}`);
        else assert.equal(log, lines);
      }
      await noneLeft(world.nodes.dir);
      console.log(
        `      ${seen.length} jobs ran, no device was idle for ${idle} ms (a shell takes ${shellMs.toFixed(1)})`,
      );
    });
  }

  /** Waits until all of these have ended on their nodes; nobody is there to tell. Says too how long a shell takes here. */
  const allSeen = async (
    records: readonly JobRecord[],
    homes: ReadonlyMap<string, string>,
  ): Promise<{ seen: Seen[]; shellMs: number }> => {
    const shells: number[] = [];
    const end = Date.now() + (long ? 300_000 : 60_000);
    for (;;) {
      const seen = records.flatMap((record) =>
        [...homes].flatMap(([node, home]) => seenOn(node, home, record) ?? []),
      );
      if (seen.length >= records.length) {
        assert.equal(seen.length, records.length, 'a job has ended on two nodes');
        return { seen, shellMs: median(shells) };
      }
      if (Date.now() > end) {
        const left = records.filter(({ id }) => !seen.some(({ record }) => record.id === id));
        throw new Error(
          `these never ended: ${left.map(({ id, staged }) => `${id} (${staged?.nodes.join()})`).join(', ')}`,
        );
      }
      const before = performance.now();
      await run('bash', ['-c', ':']);
      shells.push(performance.now() - before);
      await pause(100);
    }
  };
});

/** Nobody holds any of the devices that were ever leased. */
function assertFree(leases: string): void {
  const names = readdirSync(leases);
  assert.ok(names.length > 0);
  for (const name of names) execFileSync('flock', ['-n', '-x', path.join(leases, name), 'true']);
}

function assertNear(ms: number | undefined, ns: bigint): void {
  const off = Math.abs((ms ?? 0) - Number(ns / 1_000_000n));
  assert.ok(off < 2_500, `a time is off by ${off} ms`);
}
