import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import type { DeviceInventory, NodeDefinition } from '../../src/cluster';
import { wantClass, wantKey, wantLine } from '../../src/engine/want';
import {
  compileNeed,
  Scheduler,
  type JobDemand,
  type JobRecord,
  type Placement,
  type SchedulerJob,
} from '../../src/queue';
import { demand, need } from '../unit/queue/builders';
import { long, times } from './scale';
import { Walker, type Look } from './walker';

const DEMANDS: readonly JobDemand[] = [
  ...['', '1xV100', '2xV100', '3xV100', '4xV100', '0.5xV100', '0.25xV100', '0.75x*', '1x*', '2x*'].map(
    (gpus) => demand(gpus),
  ),
  demand('1xV100-32GB'),
  demand('1xA100'),
  demand('0.25xA100'),
  demand(need('1x*', { cpus: 2 })),
  demand(need('', { cpus: 3, memoryMiB: 10 })),
  demand(need('1xV100', { memoryMiB: 30 })),
  demand(need('1x*', { memoryMiB: 15 })),
  demand(need('', { memoryMiB: 25 })),
  demand(need('0.25xV100', { cpus: 1.25 })),
  demand([need('2xA100'), need('1xV100', { cpus: 2 })]),
  demand([need('0.5xA100'), need('4xV100')]),
  demand([need('3xV100'), need('0.5x*', { memoryMiB: 20 }), need('', { cpus: 2 })]),
  demand([need('2xV100', { cpus: 4 }), need('2xV100', { cpus: 1 })]),
];

const node = (name: string): fc.Arbitrary<NodeDefinition> =>
  fc
    .record({
      cpus: fc.constantFrom(2, 4, 8),
      memoryMiB: fc.constantFrom(40, 64),
      cards: fc.array(fc.constantFrom('V100', 'V100', 'V100', 'V100-32GB', 'A100'), {
        maxLength: 5,
        size: 'max',
      }),
      // Its owner may have put them into another order, and left some out.
      preference: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 3 }),
    })
    .map(({ cpus, memoryMiB, cards, preference }) => {
      const found: DeviceInventory[] = cards.map((card, index) => ({
        index,
        name: card,
        lease: index % 2 === 0 ? `GPU-${name}-${index}` : `virtual-${name}-${index}`,
      }));
      const devices = preference.flatMap((index) => found[index] ?? []);
      return { name, inventory: { cpus, memoryMiB, ip: '10.0.0.1', devices } };
    });

const which = fc.nat({ max: 1000 });
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('stage' as const),
      which,
      priority: fc.constantFrom(0, 0, 0, 1),
      after: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: which }),
      reserved: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('look' as const), which }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which,
      code: fc.constantFrom(0, 0, 0, 1),
      how: fc.constantFrom('exit', 'exit', 'exit', 'exit', 'timeout', 'cancelled'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'launch' as const,
        'launchSlowly' as const,
        'colleague' as const,
        'colleague' as const,
        'stranger' as const,
      ),
      which,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('leave' as const, 'vanish' as const, 'recall' as const),
      which,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      which,
      order: fc.double({ min: -9, max: 9, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reserve' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('client' as const), which }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Waiting {
  readonly id: string;
  job: SchedulerJob;
  readonly after: readonly string[];
  reserved: boolean;
  /** Its folder's name after the first point. */
  readonly rest: string;
}

/** A node with what the engine's scheduler would do on it. */
interface Side {
  readonly definition: NodeDefinition;
  readonly scheduler: Scheduler;
  /** Devices that somebody outside the queue uses, by index: with a lock of another queue, or without. */
  readonly foreign: Map<number, 'colleague' | 'stranger'>;
}

/** Plays a history on nodes of one home, by their own `walk`, and on a scheduler for each. */
class History {
  private readonly home = mkdtempSync(path.join(os.tmpdir(), 'cq-walk-'));
  private readonly sides: Side[];
  private readonly waiting = new Map<string, Waiting>();
  private readonly running = new Map<string, { side: Side; job: SchedulerJob; placement: Placement }>();
  /** Whether those that have ended have succeeded. */
  private readonly ended = new Map<string, boolean>();
  private count = 0;
  private client = false;
  /** A node may have to look twice to know what waits in vain, or does not know that a job is gone. */
  private readonly recalled = new Set<string>();
  private unsure = false;
  starts = 0;

  constructor(
    private readonly walker: Walker,
    nodes: readonly NodeDefinition[],
  ) {
    this.sides = nodes.map((definition) => {
      const { cpus, memoryMiB, devices } = inventoryOf(definition);
      const scheduler = new Scheduler();
      scheduler.setNode({ id: definition.name, cpus, memoryMiB, devices });
      for (const folder of ['jobs', 'live', 'sessions'])
        mkdirSync(this.root(definition, folder), { recursive: true });
      return { definition, scheduler, foreign: new Map() };
    });
    mkdirSync(this.staged(''), { recursive: true });
    mkdirSync(path.join(this.home, 'leases'));
  }

  async play(steps: readonly Step[]): Promise<void> {
    await this.walker.do(`home ${this.home}`);
    for (const event of steps) await this.step(event);
    for (const side of this.sides) await this.look(side);
  }

  clear(): void {
    rmSync(this.home, { recursive: true });
  }

  private async step(event: Step): Promise<void> {
    const side = pick(this.sides, event.which);
    assert.ok(side);
    switch (event.do) {
      case 'stage':
        this.stage(event);
        return;
      case 'look':
        return this.look(side);
      case 'end':
        return this.end(event);
      case 'launch':
      case 'launchSlowly':
        return this.launch(side, event.which, event.do === 'launch');
      case 'colleague':
      case 'stranger':
        return this.use(side, event.which, event.do);
      case 'leave': {
        const index = pick([...side.foreign.keys()], event.which);
        if (index !== undefined) await this.leave(side, index);
        return;
      }
      case 'vanish':
        return this.vanish(event.which);
      case 'recall': {
        const waiting = pick([...this.waiting.values()], event.which);
        if (!waiting) return;
        rmSync(this.staged(nameOf(waiting)), { recursive: true });
        this.gone(waiting.id);
        this.recalled.add(waiting.id);
        this.unsure = true;
        return;
      }
      case 'move':
      case 'reserve': {
        const waiting = pick([...this.waiting.values()], event.which);
        if (!waiting) return;
        // No two jobs of a queue have one and the same place.
        if (event.do === 'move' && [...this.waiting.values()].some(({ job }) => job.order === event.order))
          return;
        const before = nameOf(waiting);
        this.unsure = true;
        if (event.do !== 'move') waiting.reserved = !waiting.reserved;
        else {
          waiting.job = { ...waiting.job, order: event.order };
          for (const { scheduler } of this.sides)
            if (scheduler.position(waiting.id) !== undefined)
              scheduler.setOrder(waiting.id, { order: event.order });
        }
        if (nameOf(waiting) !== before) renameSync(this.staged(before), this.staged(nameOf(waiting)));
        return;
      }
      case 'client':
        this.client = !this.client;
        for (const { definition } of this.sides) {
          const session = this.root(definition, 'sessions', String(process.pid));
          // As after a reboot: its process has left its number to another.
          if (!this.client) writeFileSync(path.join(session, 'start'), '1\n');
          else {
            mkdirSync(session, { recursive: true });
            writeFileSync(path.join(session, 'start'), `${startOf(process.pid)}\n`);
            writeFileSync(path.join(session, 'heard'), `${Math.floor(os.uptime())}\n`);
          }
        }
    }
  }

  private stage({ which: number, priority, after: before, reserved }: Extract<Step, { do: 'stage' }>): void {
    const wants = DEMANDS[number % DEMANDS.length] ?? demand('');
    const lines = this.sides.map(({ definition }) => wantLine({ definition, id: definition.name }, wants));
    const want = lines.flatMap((line) => (line === undefined ? [] : [`${line}\n`])).join('');
    if (want === '') return;
    const first =
      before === null ? undefined : pick([...this.waiting.keys(), ...this.running.keys()], before);
    const after = first === undefined ? [] : [first];
    if (after.length > 0 && priority > 0) this.unsure = true;
    const order = this.count++;
    const id = `j${order}`;
    const job: SchedulerJob = { id, order, priority, demand: wants };
    const waiting = { id, job, after, reserved, rest: `${wantClass('c', want, after)}.${id}` };
    this.waiting.set(id, waiting);
    this.sides.forEach(({ scheduler }, at) => lines[at] !== undefined && scheduler.submit(job));
    const folder = this.staged(`.new.${id}`);
    mkdirSync(folder);
    for (const [name, text] of Object.entries({ want, env: '', run: '', how: '1 - - 0 .\n' }))
      writeFileSync(path.join(folder, name), text);
    if (after.length > 0)
      writeFileSync(path.join(folder, 'after'), after.map((uuid) => `${uuid}\n`).join(''));
    renameSync(folder, this.staged(nameOf(waiting)));
  }

  /** A runner looks, and the scheduler plans: both start the same, on the same devices, in the same order. */
  private async look(side: Side): Promise<void> {
    this.hold(side);
    const planned = side.scheduler.takeStarts();
    await this.walker.do(`at ${side.definition.name}`);
    this.compare(side, planned, await this.walker.look('look'));
  }

  private async end({ which: number, code, how }: Extract<Step, { do: 'end' }>): Promise<void> {
    const id = pick([...this.running.keys()], number);
    const run = id === undefined ? undefined : this.running.get(id);
    if (id === undefined || !run) return;
    const { side, placement } = run;
    // What a job has just left was nobody else's: a node does not ask nvidia-smi about it.
    for (const index of placement.ranks[0]?.devices ?? [])
      if (side.foreign.has(index)) await this.leave(side, index);
    if (how === 'cancelled') writeFileSync(this.root(side.definition, 'jobs', id, 'cancel'), '');
    this.running.delete(id);
    this.ended.set(id, code === 0 && how === 'exit');
    side.scheduler.release(id);
    this.hold(side);
    const planned = side.scheduler.takeStarts();
    await this.walker.do(`at ${side.definition.name}`);
    this.compare(side, planned, await this.walker.look(`end ${id} ${code} ${how}`));
  }

  private compare(side: Side, planned: readonly { id: string; placement: Placement }[], look: Look): void {
    const expected = planned.map(
      ({ id, placement: { ranks, alternative } }) =>
        `${id}:${ranks[0]?.devices.join(',') || '-'}:${alternative}`,
    );
    assert.deepEqual(look.started, expected);
    this.starts += planned.length;
    for (const { id, placement } of planned) {
      const waiting = this.waiting.get(id);
      assert.ok(waiting);
      this.gone(id);
      this.running.set(id, { side, job: waiting.job, placement });
    }
    if (this.wouldStart(side) || this.waitsForElsewhere(side))
      assert.ok(look.again, 'something waits for others, and nobody will look again');
    else if (side.foreign.size === 0 && !this.client && !this.unsure)
      assert.ok(!look.again, 'it looks again for nothing');
  }

  /** Whether something would start if there were no strangers, no other queues and no client. */
  private wouldStart({ definition, scheduler }: Side): boolean {
    const alone = new Scheduler();
    const { cpus, memoryMiB, devices } = inventoryOf(definition);
    alone.setNode({ id: definition.name, cpus, memoryMiB, devices });
    for (const { side, job, placement } of this.running.values())
      if (side.definition === definition) alone.adopt(job, placement);
    for (const { id, job, after } of this.waiting.values())
      if (scheduler.position(id) !== undefined) alone.submit({ ...job, held: !this.preceded(after) });
    return alone.takeStarts().length > 0;
  }

  /** Whether something comes after a job that may end on another node, which tells nobody here of it. */
  private waitsForElsewhere(side: Side): boolean {
    return [...this.waiting.values()].some(
      ({ id, after, reserved }) =>
        side.scheduler.position(id) !== undefined &&
        !(reserved && this.client) &&
        after.some((before) => {
          const run = this.running.get(before);
          if (run) return run.side !== side;
          const able = this.sides.filter(({ scheduler }) => scheduler.position(before) !== undefined);
          return !this.isDoomed(before) && able.some((other) => other !== side);
        }),
    );
  }

  /** Whether a waiting job comes after one that did not succeed, or will not; or after one taken back, of which the node may have known that. */
  private isDoomed(id: string): boolean {
    const after = this.waiting.get(id)?.after ?? [];
    return after.some(
      (before) => this.ended.get(before) === false || this.recalled.has(before) || this.isDoomed(before),
    );
  }

  /** Holds in the scheduler what a node holds by itself. */
  private hold({ scheduler }: Side): void {
    for (const { id, after, reserved } of this.waiting.values()) {
      if (scheduler.position(id) === undefined) continue;
      scheduler.setOrder(id, { held: !this.preceded(after) || (reserved && this.client) });
    }
  }

  private preceded(after: readonly string[]): boolean {
    return after.every((id) => this.ended.get(id) === true);
  }

  private gone(id: string): void {
    this.waiting.delete(id);
    for (const { scheduler } of this.sides) if (scheduler.position(id) !== undefined) scheduler.remove(id);
  }

  /** A client starts a job that never was staged; one that still copies its workdir has no locks yet. */
  private async launch(side: Side, number: number, locked: boolean): Promise<void> {
    const { definition, scheduler } = side;
    const job: SchedulerJob = {
      id: `j${this.count++}`,
      order: -100,
      priority: 0,
      demand: DEMANDS[number % DEMANDS.length] ?? demand(''),
    };
    for (const { id } of this.waiting.values())
      if (scheduler.position(id) !== undefined) scheduler.setOrder(id, { held: true });
    scheduler.submit(job);
    const [start] = scheduler.takeStarts();
    if (!start) {
      scheduler.remove(job.id);
      return;
    }
    const { placement } = start;
    this.running.set(job.id, { side, job, placement });
    const { cpus, memory, units } = compileNeed(job.demand.alternatives[placement.alternative] ?? need(''));
    const given = placement.ranks[0]?.devices ?? [];
    const leases = given.map((index) => leaseOf(definition, index)).join(',') || '-';
    await this.walker.do(`at ${definition.name}`);
    await this.walker.do(`book ${job.id} ${cpus}:${memory} ${units} ${leases} ${locked}`);
  }

  /** The job's processes and its supervisor are killed: nobody writes its end. */
  private async vanish(number: number): Promise<void> {
    const id = pick([...this.running.keys()], number);
    const run = id === undefined ? undefined : this.running.get(id);
    if (id === undefined || !run) return;
    this.running.delete(id);
    this.unsure = true;
    run.side.scheduler.release(id);
    await this.walker.do(`drop ${id}`);
    const book = this.root(run.side.definition, 'live', id);
    writeFileSync(book, readFileSync(book, 'utf8').replace(/^(\S+) \S+/, '$1 1'));
  }

  private async use(side: Side, number: number, who: 'colleague' | 'stranger'): Promise<void> {
    const { definition, scheduler, foreign } = side;
    const usage = scheduler.usage(definition.name);
    const open = usage.devices.filter(
      ({ index, free }) =>
        !foreign.has(index) &&
        // A lock that is another queue's can only be had when ours has none (or is about to, and then it is busy); declared devices have no processes.
        (who === 'colleague' ? free === 1 : free > 0 && !leaseOf(definition, index).startsWith('virtual-')),
    );
    const device = pick(open, number);
    if (!device) return;
    foreign.set(device.index, who);
    scheduler.setForeign(definition.name, device.index, who);
    if (who === 'stranger') this.tellStrangers(side);
    else await this.walker.do(`colleague ${leaseOf(definition, device.index)}`);
  }

  private async leave(side: Side, index: number): Promise<void> {
    const { definition, scheduler, foreign } = side;
    const who = foreign.get(index);
    foreign.delete(index);
    scheduler.setForeign(definition.name, index, undefined);
    if (who === 'stranger') this.tellStrangers(side);
    else await this.walker.do(`drop colleague:${leaseOf(definition, index)}`);
  }

  private tellStrangers({ definition, foreign }: Side): void {
    const lines = [...foreign].flatMap(([index, who]) =>
      who === 'stranger' ? [`${leaseOf(definition, index)}\n`] : [],
    );
    writeFileSync(this.root(definition, 'strangers'), lines.join(''));
  }

  private root({ name }: NodeDefinition, ...parts: string[]): string {
    return path.join(this.home, '.cluster-queue', name, ...parts);
  }

  private staged(name: string): string {
    return path.join(this.home, '.cluster-queue', 'staged', name);
  }
}

function nameOf({ job: { priority, order }, reserved, rest }: Waiting): string {
  return `${wantKey({ priority, order } as JobRecord, reserved)}.${rest}`;
}

function inventoryOf({ name, inventory }: NodeDefinition): NonNullable<NodeDefinition['inventory']> {
  if (!inventory) throw new Error(`${name} was never looked at`);
  return inventory;
}

function leaseOf(definition: NodeDefinition, index: number): string {
  return inventoryOf(definition).devices.find((device) => device.index === index)?.lease ?? '';
}

/** The start time of a process, as an agent notes it. */
function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function pick<T>(items: readonly T[], number: number): T | undefined {
  return items.length === 0 ? undefined : items[number % items.length];
}

describe('a node that looks for the next job', () => {
  const seed = Number(process.env.CLUSTER_QUEUE_FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const histories = times('HISTORIES', 25, 2_000);

  const ways = [
    { by: 'perl', language: 'perl', command: undefined },
    { by: 'perl that keeps the list', language: 'perl', command: 'many 2' },
    { by: 'bash', language: 'bash', command: undefined },
  ] as const;
  for (const { by, language, command } of ways) {
    it(`starts what the engine's scheduler would, by ${by}, in ${histories} random histories (CLUSTER_QUEUE_FAULTS_SEED=${seed})`, async function () {
      this.timeout(long ? 3_600_000 : 120_000);
      const walker = new Walker(language);
      let starts = 0;
      try {
        if (command !== undefined) await walker.do(command);
        await fc.assert(
          fc.asyncProperty(
            fc.oneof(fc.tuple(node('n1')), fc.tuple(node('n1'), node('n2'))),
            fc.array(step, { maxLength: 60, size: 'max' }),
            async (nodes, steps) => {
              const history = new History(walker, nodes);
              try {
                await history.play(steps);
              } finally {
                starts += history.starts;
                history.clear();
              }
            },
          ),
          { seed, numRuns: histories, interruptAfterTimeLimit: long ? 3_000_000 : 100_000 },
        );
      } finally {
        await walker.close();
      }
      console.log(`      ${starts} starts`);
    });
  }
});
