import assert from 'node:assert/strict';
import { Home, MOST_STAGED, wantNodes, type NodeLook } from '../../../src/engine/homes';
import { newEntry, type Entry } from '../../../src/engine/stagedJobs';
import { planStaging, type QueueLook, type StagingPlan } from '../../../src/engine/stagingPlan';
import { wantClass, wantKey, wantText } from '../../../src/engine/want';
import type { AgentSession } from '../../../src/node';
import type { JobRecord } from '../../../src/queue';
import { aJob } from '../store/builders';

/** A home with these nodes and devices, of which jobs hold a share, that can run all jobs but those that are excepted. */
function aHome(nodes: readonly string[], devices = 4, load = 0, not: readonly number[] = []): Home {
  const home = new Home(nodes.join('+'));
  for (const node of nodes) {
    const want = ({ id }: JobRecord): string | undefined => (not.includes(id) ? undefined : 'what it wants');
    home.nodes.push({ node, session: {} as unknown as AgentSession, want });
    home.share(devices, load);
  }
  return home;
}

const staged = (record: JobRecord, node: string, given: Partial<Entry> = {}): Entry => ({
  ...newEntry({
    uuid: record.uuid,
    weight: 2,
    nodes: [node],
    phase: 'staged',
    recall: false,
    reserved: false,
    home: node,
    key: '',
    files: false,
  }),
  name: `${wantKey(record, false)}.class.${record.uuid}-0`,
  ...given,
});

const gang = (id: number): JobRecord => aJob(id, { demand: { ...aJob(id).demand, numNodes: 2 } });

describe('a look at the queue', () => {
  let look: Omit<QueueLook, 'entry' | 'waiting'>;
  let entries: Entry[];
  beforeEach(() => {
    entries = [];
    look = {
      homes: [aHome(['a']), aHome(['b'])],
      recheck: [],
      isFree: ({ demand }) => demand.numNodes === 1,
      unfinished: () => [],
      nodeOf: () => undefined,
    };
  });
  const plan = (...waiting: JobRecord[]): StagingPlan =>
    planStaging({ ...look, waiting, entry: (uuid) => entries.find((one) => one.uuid === uuid) });
  const where = ({ assigned }: StagingPlan): string[] =>
    assigned.map(({ uuid, nodes }) => `${uuid} ${nodes.join(',')}`);

  it('gives each job to the home that has least to do for what it has', () => {
    look = { ...look, homes: [aHome(['a'], 4, 0.5), aHome(['b'], 4)] };
    const { assigned } = plan(aJob(1), aJob(2), aJob(3));
    assert.deepEqual(where(plan()), []);
    assert.deepEqual(
      assigned.map(({ uuid, nodes }) => [uuid, nodes]),
      [
        ['uuid-1', ['b']],
        ['uuid-2', ['a']],
        ['uuid-3', ['b']],
      ],
    );
    assert.deepEqual(
      assigned.map(({ phase, reserved, weight }) => [phase, reserved, weight]),
      Array.from({ length: 3 }, () => ['planned', false, 2]),
    );
  });

  it('gives a job to the nodes of a home that can run it, and to no other home', () => {
    look = { ...look, homes: [aHome(['a'], 4, 0, [1]), aHome(['b', 'c'], 4, 1)] };
    assert.deepEqual(where(plan(aJob(1))), ['uuid-1 b,c']);
    look = { ...look, homes: [aHome(['a'], 4, 0, [1])] };
    assert.deepEqual(where(plan(aJob(1), aJob(2))), ['uuid-2 a']);
  });

  it('leaves alone what is not free, and what is there already', () => {
    const [one, two] = [aJob(1), aJob(2)];
    entries = [staged(one, 'a')];
    look = { ...look, isFree: ({ id }) => id !== 2 };
    assert.deepEqual(where(plan(one, two, aJob(3))), ['uuid-3 a']);
  });

  it('reserves what is behind a gang, unless that is held', () => {
    const after = plan(aJob(1), gang(2), aJob(3)).assigned;
    assert.deepEqual(
      after.map(({ reserved }) => reserved),
      [false, true],
    );
    const held = plan({ ...gang(2), held: true }, aJob(3)).assigned;
    assert.equal(held[0]?.reserved, false);
  });

  it('renames what has come to be behind a gang, or has moved', () => {
    const [one, two] = [aJob(1), aJob(2)];
    entries = [staged(one, 'a'), staged(two, 'b')];
    const moved = { ...two, order: 0.5 };
    const { turned, renames } = plan(moved, gang(3), one);
    assert.deepEqual(
      turned.map(({ uuid }) => uuid),
      ['uuid-1'],
    );
    assert.deepEqual(
      [...renames].map(([{ id }, names]) => [id, ...names.map(({ from, to }) => [from, to])]),
      [
        ['b', [entries[1]?.name, `${wantKey(moved, false)}.class.uuid-2-0`]],
        ['a', [entries[0]?.name, `${wantKey(one, true)}.class.uuid-1-0`]],
      ],
    );
    assert.deepEqual([...plan(two, one).renames], [], 'what stays has its name');
  });

  it('renames nothing that is on its way, or comes back', () => {
    const [one, two, three] = [aJob(1), aJob(2), aJob(3)];
    entries = [
      staged(one, 'a', { phase: 'sent' }),
      staged(two, 'a', { recall: true }),
      staged(three, 'elsewhere'),
    ];
    const { turned, renames } = plan(gang(4), one, two, three);
    assert.deepEqual(turned, entries);
    assert.deepEqual([...renames], []);
  });

  describe('where what nodes have may have changed', () => {
    const one = aJob(1);
    const aLook = (index: number): NodeLook => ({
      node: 'a',
      session: { node: 'box' } as unknown as AgentSession,
      definition: {
        name: 'a',
        inventory: {
          cpus: 8,
          memoryMiB: 0,
          ip: '',
          devices: [0, index].map((at) => ({ index: at, name: 'V100', lease: `GPU-${at}` })),
        },
      },
      usable: true,
      arriving: false,
    });
    const want = wantText(wantNodes([aLook(1)]), one.demand);

    it('takes back what was told of other devices, and gives it to nobody', () => {
      entries = [staged(one, 'a', { want })];
      look = { ...look, recheck: [aLook(2)] };
      const { outdated, assigned, renames } = plan({ ...one, order: 9 });
      assert.deepEqual([outdated, assigned, [...renames]], [entries, [], []]);
    });

    it('leaves what is as it was, comes back already, or is on nodes that cannot all be asked', () => {
      const isTaken = (entry: Entry, ...recheck: NodeLook[]): boolean => {
        entries = [entry];
        look = { ...look, recheck };
        return plan(one).outdated.length > 0;
      };
      assert.equal(isTaken(staged(one, 'a', { want: 'another' }), aLook(1)), true);
      assert.equal(isTaken(staged(one, 'a', { want }), aLook(1)), false);
      assert.equal(isTaken(staged(one, 'a', { want: 'another' })), false);
      assert.equal(isTaken(staged(one, 'a', { want: 'another', recall: true }), aLook(1)), false);
      assert.equal(isTaken(staged(one, 'a', { want: 'another', phase: 'sent' }), aLook(1)), false);
      assert.equal(isTaken(staged(one, 'a', { want: 'another', nodes: ['a', 'b'] }), aLook(1)), false);
    });

    it('knows by its class what an earlier engine has staged, unless it came after others', () => {
      look = { ...look, recheck: [aLook(1)] };
      entries = [staged(one, 'a')];
      assert.deepEqual(plan(one).outdated, entries);
      assert.deepEqual(plan({ ...one, after: ['u'] }).outdated, []);
      entries = [staged(one, 'a', { name: `key.${wantClass('lab', want, [])}.uuid-1-0` })];
      assert.deepEqual(plan(one).outdated, []);
    });
  });

  it('keeps a job with what it comes after', () => {
    const waits: Record<string, string[]> = {
      'uuid-2': ['uuid-1'],
      'uuid-3': ['running'],
      'uuid-4': ['u', 'v'],
    };
    entries = [staged(aJob(8, { uuid: 'u' }), 'a'), staged(aJob(9, { uuid: 'v' }), 'b')];
    look = {
      ...look,
      unfinished: (uuid) => waits[uuid] ?? [],
      nodeOf: (uuid) => (uuid === 'running' ? 'b' : undefined),
    };
    const { assigned, again } = plan(aJob(1), aJob(2), aJob(3), aJob(4));
    assert.deepEqual(
      assigned.map(({ uuid, nodes }) => [uuid, ...nodes]),
      [
        ['uuid-1', 'a'],
        ['uuid-2', 'a'],
        ['uuid-3', 'b'],
      ],
      'of what is assigned only now too; where no home sees all, nowhere',
    );
    assert.equal(again, false);
  });

  it('is to be looked again when a job is before the one that it comes after', () => {
    look = { ...look, unfinished: (uuid) => (uuid === 'uuid-1' ? ['uuid-2'] : []) };
    const early = plan(aJob(1), aJob(2));
    assert.deepEqual([where(early), early.again], [['uuid-2 a'], true]);
    assert.equal(plan(aJob(1)).again, false);
  });

  it('ends when all homes are full, or too many can be staged nowhere', () => {
    const many = Array.from({ length: 2_500 }, (_, id) => aJob(id + 1));
    look = { ...look, homes: [aHome(['a'])] };
    assert.equal(plan(...many).assigned.length, MOST_STAGED);
    const none = many.map(({ id }) => id).filter((id) => id <= 2_000);
    look = { ...look, homes: [aHome(['a'], 4, 0, none)] };
    assert.equal(plan(...many).assigned[0]?.uuid, 'uuid-2001');
    look = { ...look, homes: [aHome(['a'], 4, 0, [...none, 2_001])] };
    assert.equal(plan(...many).assigned.length, 0);
  });
});
