import assert from 'node:assert/strict';
import type { LaunchState } from '../../../src/cluster';
import { afterSetup, atStep } from '../../../src/engine/launchNotes';
import type { JobRecord } from '../../../src/queue';
import { aJob } from '../store/builders';

const setup = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...aJob(3),
  uuid: 's',
  spec: { resources: '[]', envs: {}, phase: 'setup', snapshot: 'tree', file: '/t.yaml' },
  ...change,
});
const placed: LaunchState = { placed: { '/data': { source: '/d', nodes: ['a'] } } };
const failed = { name: 'setup', job: 2, message: 'job 2 is FAILED_SETUP', file: '/t.yaml' } as const;

describe('what is noted of a launch', () => {
  it('is where it is, and nothing when it is done', () => {
    const files = atStep(placed, { name: 'files', file: '/t.yaml' });
    assert.deepEqual(files, { ...placed, step: { name: 'files', file: '/t.yaml' } });
    assert.deepEqual(atStep(files, undefined), placed);
  });

  it('stays a setup that has failed before it was done', () => {
    assert.deepEqual(atStep({ step: failed }, undefined), { step: failed });
    assert.deepEqual(atStep({ step: failed }, { name: 'files' }), { step: { name: 'files' } });
  });
});

describe('what is noted of a setup', () => {
  it('is what it has made, once', () => {
    const after = afterSetup(placed, setup({ status: 'SUCCEEDED' }));
    assert.deepEqual(after, { ...placed, setup: { uuid: 's', snapshot: 'tree' } });
    assert.equal(afterSetup(after, setup({ status: 'SUCCEEDED' })), undefined);
  });

  it('is nothing while it waits and runs, or when it was cancelled', () => {
    for (const status of ['PENDING', 'SETTING_UP', 'RUNNING', 'CANCELLED', 'FAILED'] as const)
      assert.equal(afterSetup(placed, setup({ status })), undefined);
  });

  it('is that one has failed, and why', () => {
    const after = afterSetup(placed, setup({ status: 'FAILED_SETUP', message: 'exit code 4' }));
    const message = 'job 3 is FAILED_SETUP: exit code 4';
    assert.deepEqual(after, { ...placed, step: { name: 'setup', job: 3, message, file: '/t.yaml' } });
    assert.equal(
      afterSetup({ step: failed }, setup({ status: 'LOST' }))?.step?.message,
      'job 3 is LOST',
      'in place of one before it',
    );
  });

  it('ends the failure of one before it, and no other step', () => {
    const other: LaunchState = { step: { name: 'files' } };
    const made = { uuid: 's', snapshot: 'tree' };
    assert.deepEqual(afterSetup({ step: failed }, setup({ status: 'SUCCEEDED' })), { setup: made });
    assert.deepEqual(afterSetup(other, setup({ status: 'SUCCEEDED' })), { ...other, setup: made });
  });

  it('is nothing of a launch that has begun since', () => {
    const step = { name: 'files', jobs: { setup: 'another' } } as const;
    assert.equal(afterSetup({ step }, setup({ status: 'FAILED_SETUP' })), undefined);
    const own = { name: 'files', jobs: { setup: 's' } } as const;
    assert.equal(afterSetup({ step: own }, setup({ status: 'FAILED_SETUP' }))?.step?.name, 'setup');
  });
});
