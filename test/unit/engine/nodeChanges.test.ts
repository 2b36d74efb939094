import assert from 'node:assert/strict';
import type { NodesChange } from '../../../src/cluster';
import type { QueueError } from '../../../src/engine/errors';
import { NodeChanges, type ChangingCluster } from '../../../src/engine/nodeChanges';
import type { AgentSession } from '../../../src/node';
import { aJob } from '../store/builders';

describe('nodes that leave a cluster', () => {
  let said: string[];
  let sessions: Map<string, AgentSession>;
  let running: { node: string; cancelling: boolean }[];
  /** What happens while a node gives back what is staged. */
  let meanwhile: () => void;
  let changes: NodeChanges;
  beforeEach(() => {
    said = [];
    running = [];
    meanwhile = () => undefined;
    const say = (words: string): Promise<void> => {
      said.push(words);
      return Promise.resolve();
    };
    const session = (node: string): AgentSession =>
      ({
        atBoot: (what: string) => say(`${node} boot ${what}`),
        leave: () => say(`${node} leave`),
        forget: (uuids: readonly string[]) => say(`${node} forget ${uuids.length}`),
      }) as unknown as AgentSession;
    sessions = new Map(['a', 'b'].map((node) => [node, session(node)]));
    const cluster: ChangingCluster = {
      nodes: {
        definition: { name: 'lab', nodes: [{ name: 'a' }, { name: 'b' }] },
        find: (name) => ({ name }),
        session: (node) => sessions.get(node),
        open: () =>
          [...sessions].map(([node, one]) => ({
            node,
            session: one,
            up: true,
            exec: () => Promise.reject(new Error('nothing is to be run')),
          })),
        change: (change: NodesChange) => said.push(`change ${JSON.stringify(change)}`),
        want: () => said.push('want'),
      },
      staging: {
        withdraw: (node) => said.push(`withdraw ${node}`),
        returned: (node) => {
          meanwhile();
          return say(`returned ${node}`);
        },
        detached: (node) => said.push(`detached ${node}`),
        abandon: (node) => said.push(`abandon ${node}`),
      },
      runs: () =>
        running.map(({ node, cancelling }, at) => ({
          record: aJob(at + 1, { cancelling }),
          on: (other) => (other === node ? [0] : []),
          lose: (rank, words) => said.push(`lose ${rank}: ${words}`),
        })),
    };
    changes = new NodeChanges(cluster);
  });

  it('give back what waits there before they go, and get nothing meanwhile', async () => {
    await changes.make({ remove: ['a'] });
    assert.deepEqual(said, [
      'change {"drain":["a"]}',
      'withdraw a',
      'returned a',
      'a boot leave',
      'a leave',
      'change {"remove":["a"]}',
      'detached a',
      'abandon a',
      'want',
    ]);
  });

  it('stay when a job is there', async () => {
    running = [{ node: 'a', cancelling: true }];
    await assert.rejects(changes.make({ remove: ['a'] }), {
      code: 'cluster-busy',
      message: /^a has job 1 \(job 1\): cancel it/,
    } satisfies Partial<Record<keyof QueueError, unknown>>);
    assert.deepEqual(said, []);
  });

  it('stay, and take jobs again, when one has started there before it was given back', async () => {
    meanwhile = () => (running = [{ node: 'a', cancelling: false }]);
    await assert.rejects(changes.make({ remove: ['a'] }), { code: 'cluster-busy' });
    assert.deepEqual(
      said.filter((one) => one.startsWith('change')),
      ['change {"drain":["a"]}', 'change {"undrain":["a"]}'],
    );
  });

  it('go with a job that was cancelled where they cannot be reached', async () => {
    sessions.delete('a');
    running = [{ node: 'a', cancelling: true }];
    await changes.make({ remove: ['a'] });
    assert.ok(said.includes('lose 0: a could not be reached when it was removed: it may run there still'));
    assert.ok(said.includes('change {"remove":["a"]}'));
  });

  it('are not all of them', async () => {
    await assert.rejects(changes.make({ remove: ['a', 'b'] }), { code: 'refused' });
    assert.deepEqual(said, []);
    await changes.make({ remove: ['a', 'b'], add: [{ name: 'c' }] });
  });

  it('take along the folders of jobs, a hundred in one request', async () => {
    const ranks = [
      { node: 'b', devices: [] },
      { node: 'a', devices: [] },
    ];
    const jobs = Array.from({ length: 150 }, (_, id) => aJob(id, { placement: { ranks, alternative: 0 } }));
    sessions.delete('b');
    await changes.leave([...jobs, aJob(200)]);
    assert.deepEqual(said, ['a boot leave', 'a forget 100', 'a forget 50', 'a leave']);
  });
});
