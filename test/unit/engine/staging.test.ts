import assert from 'node:assert/strict';
import { Staging, type OpenNode, type StagingHost } from '../../../src/engine/staging';
import { SessionClosedError, type AgentSession } from '../../../src/node';
import type { JobRecord } from '../../../src/queue';

/** A job that was staged on these nodes, by an engine before. */
function stagedOn(...nodes: string[]): JobRecord {
  const demand = { numNodes: 1, alternatives: [{ cpus: 1, memoryMiB: 0 }] };
  const spec = { envs: {}, resources: '' };
  const record = { uuid: 'u', cluster: 'c', name: 'n', user: 'me', id: 1, order: 1, priority: 0 };
  return { ...record, status: 'PENDING', submittedAt: 0, demand, spec, staged: { nodes } };
}

describe('a job that is taken back', () => {
  const nothing = (): void => undefined;
  const world = (answers: Readonly<Record<string, () => Promise<Map<string, unknown>>>>) => {
    const asked: string[] = [];
    const recalled: string[] = [];
    const record = stagedOn(...Object.keys(answers));
    const open: OpenNode[] = Object.entries(answers).map(([node, answer]) => ({
      node,
      session: {
        home: 'one home',
        staged: () => Promise.resolve(['0.0.u-0']),
        recall: (names: readonly string[]) => {
          if (names.length === 0) return Promise.resolve(new Map());
          asked.push(node);
          return answer();
        },
      } as unknown as AgentSession,
    }));
    const host: Partial<StagingHost> = {
      open: () => open,
      find: () => record,
      isKnown: () => true,
      waiting: () => [],
      definition: () => ({ name: 'c', nodes: [] }),
      closed: () => true,
      arriving: () => false,
      reached: nothing,
      changed: nothing,
      store: () => Promise.resolve(),
      recalled: (uuid) => recalled.push(uuid),
    };
    const staging = new Staging(host as StagingHost);
    staging.restore(record);
    return { staging, asked, recalled, open };
  };
  const taken = () => Promise.resolve(new Map([['u-0', { state: 'recalled' }]]));
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  it('is asked of another node of its home when the first one’s connection breaks', async () => {
    const breaks = () => Promise.reject(new SessionClosedError('broken'));
    const { staging, asked, recalled, open } = world({ a: breaks, b: taken });
    const [first] = open;
    if (first) await staging.reconcile(first.node, first.session);
    staging.recall('u');
    await settled();
    assert.deepEqual([asked, recalled], [['a', 'b'], ['u']]);
    staging.close();
  });

  it('is asked of each node once, when none can say', async () => {
    const fails = () => Promise.reject(new Error('no'));
    const { staging, asked, recalled, open } = world({ a: fails, b: fails });
    const [first] = open;
    if (first) await staging.reconcile(first.node, first.session);
    staging.recall('u');
    await settled();
    assert.deepEqual([asked, recalled, staging.has('u')], [['a', 'b'], [], true]);
    staging.close();
  });
});
