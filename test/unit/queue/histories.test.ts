import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  Scheduler,
  type JobDemand,
  type SchedulerJob,
  type SchedulerNode,
  type Start,
} from '../../../src/queue';
import { demand, need } from './builders';
import { NaiveScheduler } from './naive';

const HISTORIES = 10_000;

const DEMANDS: readonly JobDemand[] = [
  ...['', '1xV100', '2xV100', '4xV100', '0.5xV100', '0.25xV100', '0.75x*', '1x*', '3x*'].map((gpus) =>
    demand(gpus),
  ),
  demand('1xV100-32GB'),
  demand('1xA100'),
  demand('1xv100', 2),
  demand('2xV100', 2),
  demand('0.5x*', 2),
  demand('', 3),
  demand(need('1x*', { cpus: 2 })),
  demand(need('', { cpus: 3, memoryMiB: 10 })),
  demand(need('1xV100', { memoryMiB: 30 })),
  demand(need('0.25xV100', { cpus: 1.25 })),
  demand([need('2xA100'), need('1xV100', { cpus: 2 })]),
  demand([need('0.5xA100'), need('4xV100')]),
  demand([need('1xA100'), need('1xV100')], 2),
  demand([need('2xV100', { cpus: 4 }), need('2xV100', { cpus: 1 })]),
];

const CARDS = ['V100', 'V100', 'V100-32GB', 'A100', 'A100-80GB'];

const node = (index: number) =>
  fc
    .record({
      cpus: fc.constantFrom(1, 2, 4, 8),
      memoryMiB: fc.constantFrom(20, 64),
      cards: fc.array(fc.constantFrom(...CARDS), { maxLength: 5 }),
      groups: fc.boolean(),
    })
    .map(({ cpus, memoryMiB, cards, groups }): SchedulerNode => {
      const devices = cards.map((name, i) => ({
        index: i,
        name,
        ...(groups ? { group: i % 3 === 0 ? 'x' : 'y' } : {}),
      }));
      return { id: `n${index}`, cpus, memoryMiB, devices };
    });

const number = fc.nat({ max: 1000 });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      which: number,
      priority: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('release' as const), which: number }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('releaseRank', 'remove', 'requeue', 'restart'),
      which: number,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      which: number,
      priority: fc.constantFrom(0, 1, 2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('hold' as const), which: number, held: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('state' as const),
      which: number,
      state: fc.constantFrom('up' as const, 'up' as const, 'draining' as const, 'down' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('foreign' as const), which: number, taken: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('removeNode' as const), which: number }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('setNode' as const), node: fc.nat({ max: 4 }).chain(node) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('plan' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Plays a history on the scheduler and on the naive one, and checks both after each plan. */
class History {
  private scheduler = new Scheduler();
  private readonly naive = new NaiveScheduler();
  private submitted = 0;

  constructor(nodes: readonly SchedulerNode[]) {
    for (const spec of nodes) this.setNode(spec);
  }

  play(event: Step): void {
    const { scheduler, naive } = this;
    switch (event.do) {
      case 'submit': {
        const order = this.submitted++;
        const wants = DEMANDS[event.which % DEMANDS.length] ?? demand('');
        const job: SchedulerJob = { id: `j${order}`, order, priority: event.priority, demand: wants };
        scheduler.submit(job);
        naive.pending.set(job.id, job);
        return;
      }
      case 'move':
      case 'hold': {
        const id = pick([...naive.pending.keys(), ...naive.running.keys()], event.which);
        const change = event.do === 'hold' ? { held: event.held } : { priority: event.priority };
        if (id !== undefined) this.setOrder(id, change);
        return;
      }
      case 'state': {
        const entry = pick([...naive.nodes.values()], event.which);
        if (!entry) return;
        scheduler.setNodeState(entry.spec.id, event.state);
        entry.state = event.state;
        return;
      }
      case 'foreign': {
        const entry = pick([...naive.nodes.values()], event.which);
        const device = pick(entry?.spec.devices ?? [], event.which >> 2);
        if (!entry || !device) return;
        scheduler.setForeign(entry.spec.id, device.index, event.taken ? 'bob' : undefined);
        if (event.taken) entry.foreign.add(device.index);
        else entry.foreign.delete(device.index);
        return;
      }
      case 'removeNode': {
        const id = pick([...naive.nodes.keys()], event.which);
        if (id === undefined) return;
        scheduler.removeNode(id);
        naive.nodes.delete(id);
        return;
      }
      case 'setNode':
        this.setNode(event.node);
        return;
      case 'plan':
        this.plan();
        return;
      case 'restart':
        this.restart();
        return;
      case 'remove': {
        const id = pick([...naive.pending.keys()], event.which);
        if (id === undefined) return;
        scheduler.remove(id);
        naive.pending.delete(id);
        return;
      }
      default:
        this.end(event.do, event.which);
    }
  }

  /** Everything starts in the end: nodes come back, jobs end, nothing is held; what stays is told why. */
  finish(): void {
    const { naive, scheduler } = this;
    for (const [id, entry] of naive.nodes) {
      entry.state = 'up';
      entry.foreign.clear();
      scheduler.setNodeState(id, 'up');
      for (const device of entry.spec.devices) scheduler.setForeign(id, device.index, undefined);
    }
    for (const id of [...naive.pending.keys()]) this.setOrder(id, { held: false });
    do {
      for (const id of [...naive.running.keys()]) this.end('release', [...naive.running.keys()].indexOf(id));
      this.plan();
    } while (naive.running.size > 0);
    for (const job of naive.pending.values()) {
      assert.equal(scheduler.reason(job.id).kind, 'never');
      assert.notEqual(scheduler.refusal(job.demand), undefined);
    }
  }

  plan(): void {
    const { scheduler, naive } = this;
    const starts = scheduler.takeStarts();
    assert.deepEqual(starts, naive.takeStarts());
    for (const start of starts) this.checkStart(start);
    for (const [place, job] of naive.inOrder().entries()) {
      const reason = scheduler.reason(job.id);
      assert.equal(reason.position, place + 1);
      assert.equal(scheduler.position(job.id), place + 1);
      assert.equal(reason.kind === 'held', job.held === true);
      assert.notEqual(reason.kind, 'starting', `${job.id} could start but was not started`);
      assert.notEqual(reason.text, '');
    }
    for (const [id, { spec, foreign }] of naive.nodes) this.checkNode(id, spec, foreign);
  }

  private checkStart({ id, placement }: Start): void {
    const job = this.naive.running.get(id)?.job;
    assert.ok(job);
    const nodes = placement.ranks.map((rank) => rank.node);
    assert.equal(nodes.length, job.demand.numNodes);
    assert.equal(new Set(nodes).size, nodes.length);
    for (const name of nodes) {
      const used = this.naive.used(name);
      const spec = this.naive.nodes.get(name)?.spec;
      assert.ok(spec && used.cpus <= spec.cpus && used.memoryMiB <= spec.memoryMiB);
    }
    for (const other of this.naive.pending.values()) {
      const earlier =
        other.priority > job.priority || (other.priority === job.priority && other.order < job.order);
      assert.ok(!(earlier && other.held !== true && other.demand === job.demand), `${id} passed ${other.id}`);
    }
  }

  private checkNode(id: string, spec: SchedulerNode, foreign: ReadonlySet<number>): void {
    const used = this.naive.used(id);
    for (const share of used.devices.values())
      assert.ok(share <= 1, `a device of ${id} is given ${share} times`);
    for (const device of this.scheduler.usage(id).devices) {
      const expected = foreign.has(device.index) ? 0 : 1 - (used.devices.get(device.index) ?? 0);
      assert.equal(device.free, expected);
    }
    assert.equal(this.scheduler.usage(id).cpus.free, Math.max(0, spec.cpus - used.cpus));
  }

  private setNode(spec: SchedulerNode): void {
    this.scheduler.setNode(spec);
    this.naive.setNode(spec);
  }

  private setOrder(id: string, change: { priority?: number; held?: boolean }): void {
    this.scheduler.setOrder(id, change);
    const waiting = this.naive.pending.get(id);
    if (waiting) this.naive.pending.set(id, { ...waiting, ...change });
    const running = this.naive.running.get(id);
    if (running) running.job = { ...running.job, ...change };
  }

  private end(how: string, which: number): void {
    const { scheduler, naive } = this;
    const entry = pick([...naive.running.values()], which);
    if (!entry) return;
    const { job, alive } = entry;
    if (how === 'releaseRank') {
      const rank = pick([...alive], which) ?? 0;
      scheduler.release(job.id, rank);
      alive.delete(rank);
      if (alive.size === 0) naive.running.delete(job.id);
      return;
    }
    naive.running.delete(job.id);
    if (how === 'requeue') {
      scheduler.requeue(job.id);
      naive.pending.set(job.id, job);
    } else scheduler.release(job.id);
  }

  /** What an engine does when it starts: running jobs are adopted, some before their nodes are known. */
  private restart(): void {
    const { naive } = this;
    const scheduler = new Scheduler();
    naive.places = naive.places.filter((id) => naive.nodes.has(id));
    for (const { job, placement, alive } of naive.running.values()) {
      scheduler.adopt(job, placement);
      for (const rank of placement.ranks.keys()) if (!alive.has(rank)) scheduler.release(job.id, rank);
    }
    for (const id of naive.places) {
      const entry = naive.nodes.get(id);
      if (!entry) continue;
      scheduler.setNode(entry.spec);
      scheduler.setNodeState(id, entry.state);
      for (const device of entry.foreign) scheduler.setForeign(id, device, 'bob');
    }
    for (const job of naive.pending.values()) scheduler.submit(job);
    this.scheduler = scheduler;
  }
}

function pick<T>(items: readonly T[], which: number): T | undefined {
  return items.length === 0 ? undefined : items[which % items.length];
}

describe('the scheduler in random histories', () => {
  const seed = Number(process.env.FAST_CHECK_SEED ?? Math.floor(Math.random() * 2 ** 31));

  const check = (cluster: fc.Arbitrary<readonly SchedulerNode[]>, numRuns: number): void => {
    fc.assert(
      fc.property(cluster, fc.array(step, { maxLength: 60, size: 'max' }), (nodes, steps) => {
        const history = new History(nodes);
        for (const event of steps) history.play(event);
        history.plan();
        history.finish();
      }),
      { seed, numRuns },
    );
  };

  it(`keeps its promises and equals the naive one in ${HISTORIES} histories (seed ${seed})`, function () {
    this.timeout(120_000);
    check(fc.tuple(node(0), node(1), node(2)), HISTORIES);
  });

  it(`does so when more nodes get free at once than it asks one by one (seed ${seed})`, function () {
    this.timeout(120_000);
    check(fc.tuple(...Array.from({ length: 40 }, (_, index) => node(index))), 300);
  });
});
