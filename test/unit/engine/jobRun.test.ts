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
  let requeued: number;
  let changes: number;
  beforeEach(() => {
    requeued = changes = 0;
    went = [];
    patches = [];
    const session = (node: string): AgentSession =>
      ({
        go: (uuid: string) => {
          went.push(`${node} ${uuid}`);
          return Promise.resolve();
        },
        forget: () => Promise.resolve(),
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
        run.record = { ...run.record, ...patch };
        return Promise.resolve();
      },
      released: nothing,
      requeue: () => requeued++,
      changed: () => changes++,
      foreign: nothing,
      blame: () => undefined,
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

  it('is not queued again when one rank has begun and another heard too late that it might', async () => {
    run.event(0, { kind: 'ready', uuid: 'u-0', try: 1 });
    run.event(1, { kind: 'ready', uuid: 'u-1', try: 1 });
    // The network goes with the words on their way; it is back two minutes later, that of b first.
    run.detached('a');
    run.detached('b');
    run.reconcile(1, { state: 'ended', code: 143, how: 'no-go', age: 60, try: 1 });
    run.reconcile(0, { state: 'running', age: 120, try: 1 });
    run.event(0, { kind: 'ended', uuid: 'u-0', code: 143, age: 0, how: 'cancelled', try: 1, next: [] });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(requeued, 0);
    assert.equal(run.record.status, 'FAILED');
    assert.equal(
      run.record.message,
      'rank 1 (b) was cut off when the others began, and gave its devices back',
    );
  });

  it('says which node cannot write its log, until it can, or is asked anew', () => {
    const full = { kind: 'unwritten', uuid: 'u-1', unwritten: true } as const;
    assert.equal(run.trouble, undefined);
    run.event(1, full);
    assert.match(String(run.trouble), /^its log on b cannot be written/);
    run.event(1, { ...full, unwritten: false });
    assert.equal(run.trouble, undefined);
    assert.equal(changes, 2);
    run.event(1, full);
    run.detached('a');
    assert.notEqual(run.trouble, undefined);
    run.detached('b');
    assert.equal(run.trouble, undefined);
  });

  it('waits again when an engine that is gone had called it off', async () => {
    run.reconcile(0, { state: 'ended', code: 143, how: 'cancelled', age: 1, try: 1 });
    run.reconcile(1, { state: 'unknown' });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(requeued, 1);
  });

  it('that failed has failed also for an engine that hears first how its other rank was ended', () => {
    run.reconcile(1, { state: 'ended', code: 143, age: 1, how: 'cancelled', ran: 5, try: 1 });
    run.reconcile(0, { state: 'ended', code: 9, age: 2, how: 'exit', ran: 4, try: 1 });
    assert.equal(run.record.status, 'FAILED');
    assert.match(run.record.message ?? '', /^rank 0 \(a\) failed first with exit code 9/);
  });
});
