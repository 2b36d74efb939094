/**
 * What the scheduler costs on 1,000 nodes × 8 GPUs: a full plan from nothing, then single events. Run by
 * `npx esbuild bench/scheduler.ts --bundle --platform=node --outfile=out/bench/scheduler.js && node --expose-gc
 * out/bench/scheduler.js`.
 */
import { Scheduler, type JobDemand, type SchedulerJob } from '../src/queue';

const NODES = 1000;
const EVENTS = 3000;
const PLANS = 7;
const CARDS = ['V100', 'V100-32GB', 'A100', 'A100-80GB', 'H100'];
const ASKED = ['V100', 'A100', 'A100-80GB', 'H100', undefined];

/** A small generator with a seed (mulberry32), so that every run sees the same cluster and jobs. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function pick<T>(random: (below: number) => number, items: readonly T[], otherwise: T): T {
  return items[random(items.length)] ?? otherwise;
}

/** `usual`: some hundred demands as people write them; `distinct`: nearly every job its own CPUs and memory. */
type Mix = 'usual' | 'distinct';

function aDemand(random: (below: number) => number, mix: Mix): JobDemand {
  const count = pick(random, [0, 0.5, 1, 1, 1, 2, 4, 4, 8], 1);
  const name = pick(random, ASKED, undefined);
  const gpu = count === 0 ? {} : { gpu: { count, ...(name === undefined ? {} : { name }) } };
  const cpus = mix === 'usual' ? pick(random, [0.5, 0.5, 4, 8], 0.5) : 1 + random(8000) / 1000;
  const memoryMiB = mix === 'usual' ? pick(random, [0, 0, 16 * 1024], 0) : random(64 * 1024);
  const numNodes = pick(random, [1, 1, 1, 1, 1, 1, 2, 4], 1);
  const alternative = { ...gpu, cpus, memoryMiB };
  const second = { ...alternative, gpu: { count: Math.max(1, count), name: 'H100' } };
  const alternatives = random(10) === 0 ? [alternative, second] : [alternative];
  return { numNodes, alternatives };
}

function aCluster(scheduler: Scheduler): void {
  for (let i = 0; i < NODES; i++) {
    const name = CARDS[i % CARDS.length] ?? 'V100';
    const devices = Array.from({ length: 8 }, (_, index) => ({ index, name, group: index < 4 ? 'a' : 'b' }));
    scheduler.setNode({ id: `node-${i}`, cpus: 64, memoryMiB: 512 * 1024, devices });
  }
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function usedMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

function run(pendingCount: number, mix: Mix): string[] {
  const random = generator(1);
  const jobs: SchedulerJob[] = Array.from({ length: pendingCount }, (_, i) => ({
    id: `job-${i}`,
    order: i,
    priority: random(20) === 0 ? 1 : 0,
    demand: aDemand(random, mix),
  }));
  // Others use the machine too, and their noise only adds: of several full plans the fastest counts.
  const loads: number[] = [];
  const plans: number[] = [];
  const before = usedMiB();
  let scheduler = new Scheduler();
  let running: string[] = [];
  for (let i = 0; i < PLANS; i++) {
    const attempt = new Scheduler();
    scheduler = attempt;
    aCluster(attempt);
    loads.push(
      timed(() => {
        for (const job of jobs) attempt.submit(job);
      }),
    );
    plans.push(
      timed(() => {
        running = attempt.takeStarts().map((start) => start.id);
      }),
    );
  }
  const started = running.length;
  const pending = new Set(jobs.map((job) => job.id));
  for (const id of running) pending.delete(id);
  const memory = usedMiB() - before;

  const times: number[] = [];
  let next = pendingCount;
  const settle = (event: () => void): void => {
    times.push(
      timed(() => {
        event();
        for (const { id } of scheduler.takeStarts()) {
          running.push(id);
          pending.delete(id);
        }
      }),
    );
  };
  for (let i = 0; i < EVENTS; i++) {
    const kind = i % 3;
    const cancelled = kind === 1 ? [...pending][random(Math.max(1, pending.size))] : undefined;
    if (kind === 0 && running.length > 0) {
      const at = random(running.length);
      const id = running[at] ?? '';
      running[at] = running.at(-1) ?? '';
      running.pop();
      settle(() => scheduler.release(id));
    } else if (cancelled !== undefined) {
      pending.delete(cancelled);
      settle(() => scheduler.remove(cancelled));
    } else {
      const job = { id: `job-${next}`, order: next, priority: 0, demand: aDemand(random, mix) };
      next++;
      pending.add(job.id);
      settle(() => scheduler.submit(job));
    }
  }
  times.sort((a, b) => a - b);
  const explained = [...pending].slice(0, 200).map((id) => timed(() => scheduler.reason(id)));
  explained.sort((a, b) => a - b);
  return [
    mix,
    String(pendingCount),
    String(started),
    Math.min(...loads).toFixed(1),
    Math.min(...plans).toFixed(1),
    Math.max(...plans).toFixed(1),
    quantile(times, 0.5).toFixed(4),
    quantile(times, 0.99).toFixed(3),
    quantile(times, 1).toFixed(2),
    quantile(explained, 0.5).toFixed(3),
    memory.toFixed(0),
  ];
}

const header = [
  'demands',
  'pending',
  'started',
  'load ms',
  'plan ms',
  'slowest',
  'event p50 ms',
  'p99 ms',
  'max ms',
  'reason p50 ms',
  'MiB',
];
run(1000, 'usual');
const rows = [header];
for (const mix of ['usual', 'distinct'] as const) {
  for (const count of [100_000, 10_000, 1000, 100]) rows.push(run(count, mix));
}
const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
for (const row of rows) console.log(row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
