import assert from 'node:assert/strict';
import { JobRun, type JobPatch, type RunHost } from '../../../src/engine/jobRun';
import type { AgentSession } from '../../../src/node';
import type { JobRecord } from '../../../src/queue';

const record: JobRecord = {
  uuid: 'u',
  cluster: 'c',
  id: 1,
  name: 'n',
  user: 'ann',
  status: 'SETTING_UP',
  priority: 0,
  order: 1,
  demand: { numNodes: 2, alternatives: [] },
  spec: { resources: '2x[]', envs: {} },
  submittedAt: 0,
};

describe('the run of a gang', () => {
  let run: JobRun;
  let went: string[];
  let patches: JobPatch[];
  beforeEach(() => {
    went = [];
    patches = [];
    const session = (node: string): AgentSession =>
      ({
        go: (uuid: string) => {
          went.push(`${node} ${uuid}`);
          return Promise.resolve();
        },
        cancel: () => Promise.resolve({ state: 'cancelling' }),
      }) as unknown as AgentSession;
    const nothing = (): void => undefined;
    const host: RunHost = {
      sending: () => () => undefined,
      session,
      environment: () => '',
      prepare: () => Promise.resolve(),
      sent: nothing,
      leases: () => [],
      use: () => ({ cpus: 0, memoryKiB: 0, devices: [], alternative: 0, units: [] }) as never,
      graceS: 1,
      now: () => 0,
      update: (_run, patch) => {
        patches.push(patch);
        return Promise.resolve();
      },
      released: nothing,
      requeue: nothing,
      foreign: nothing,
      trouble: nothing,
      finished: nothing,
    };
    const ranks = ['a', 'b'].map((node) => ({ node, devices: [], share: 1 }));
    run = new JobRun(record, { alternative: 0, ranks }, host);
  });

  it('lets them go when all are ready', () => {
    run.event(0, { kind: 'ready', uuid: 'u-0', try: 1 });
    assert.deepEqual(went, []);
    run.event(1, { kind: 'ready', uuid: 'u-1', try: 1 });
    assert.deepEqual(went, ['a u-0', 'b u-1']);
  });

  it('asks a node that has come back before it believes that its rank still waits', () => {
    run.event(0, { kind: 'ready', uuid: 'u-0', try: 1 });
    run.detached('a');
    run.event(1, { kind: 'ready', uuid: 'u-1', try: 1 });
    assert.deepEqual(went, [], 'what a said may have ended with its connection');
    run.reconcile(0, { state: 'waiting', try: 1 });
    assert.deepEqual(went, [], 'a rank that copies its workdir has no device');
    run.reconcile(0, { state: 'waiting', try: 1, ready: true });
    assert.deepEqual(went, ['a u-0', 'b u-1']);
  });

  it('takes what a node had looked up before it said that the rank is ready for the older', () => {
    run.event(0, { kind: 'ready', uuid: 'u-0', try: 1 });
    run.reconcile(0, { state: 'waiting', try: 1 });
    run.event(1, { kind: 'ready', uuid: 'u-1', try: 1 });
    assert.deepEqual(went, ['a u-0', 'b u-1']);
  });

  it('says of which rank the node had no memory left, and of no other that was killed', () => {
    const end = { kind: 'ended', code: 137, age: 0, try: 1, next: [] } as const;
    run.event(1, { ...end, uuid: 'u-1', how: 'oom' });
    run.event(0, { ...end, uuid: 'u-0', how: 'cancelled' });
    assert.equal(
      patches.at(-1)?.message,
      'rank 1 (b) failed first with exit code 137 (SIGKILL, while the kernel of b ended processes for want of memory)',
    );
  });
});
