import assert from 'node:assert/strict';
import {
  applyOverrides,
  commandTask,
  missingValues,
  parseTask,
  TaskError,
  type TaskOverrides,
} from '../../../src/task';

function taskOf(text: string) {
  const { task } = parseTask(text);
  assert.ok(task);
  return task;
}

describe('applyOverrides', () => {
  const task = taskOf(
    'name: a\nresources: {cpus: 2, any_of: [{gpus: V100:4}, {gpus: L4}]}\nenvs: {A: 1, B:}\nsecrets: {S:}\nrun: x\n',
  );

  it('changes nothing without overrides', () => {
    assert.deepEqual(applyOverrides(task, {}), task);
  });

  it('gives every alternative the infra of an option, and refuses what is none', () => {
    const { resources } = applyOverrides(task, { infra: 'ssh/lab' });
    assert.deepEqual(
      resources.map(({ infra }) => infra),
      ['ssh/lab', 'ssh/lab'],
    );
    assert.throws(() => applyOverrides(task, { infra: 'nowhere/x' }), /is no infrastructure/);
  });

  it('replaces what is given', () => {
    const changed = applyOverrides(task, {
      name: 'b',
      numNodes: 3,
      priority: -5,
      workdir: '/x',
      envs: { B: '2', C: '3' },
      secrets: { S: 's' },
    });
    assert.deepEqual(changed, {
      ...task,
      name: 'b',
      numNodes: 3,
      priority: -5,
      workdir: '/x',
      envs: { A: '1', B: '2', C: '3' },
      secrets: { S: 's' },
    });
    assert.deepEqual(missingValues(changed), { envs: [], secrets: [] });
  });

  it('asks every alternative for the same, and merges those that become equal', () => {
    assert.deepEqual(applyOverrides(task, { gpus: 'A100:2', memory: '8' }).resources, [
      {
        accelerator: { name: 'A100', count: 2 },
        cpus: { amount: 2, atLeast: false },
        memoryMiB: { amount: 8192, atLeast: false },
      },
    ]);
    assert.equal(applyOverrides(task, { cpus: '4+' }).resources.length, 2);
    assert.deepEqual(applyOverrides(task, { gpus: 'none' }).resources, [
      { cpus: { amount: 2, atLeast: false } },
    ]);
  });

  const bad: [TaskOverrides, string, string][] = [
    [{ name: 'a b' }, 'bad-name', 'name'],
    [{ numNodes: 0 }, 'out-of-range', 'numNodes'],
    [{ numNodes: 1.5 }, 'out-of-range', 'numNodes'],
    [{ priority: 1001 }, 'out-of-range', 'priority'],
    [{ gpus: 'V100:x' }, 'bad-accelerator', 'gpus'],
    [{ gpus: 'V100:0' }, 'bad-count', 'gpus'],
    [{ cpus: 'x' }, 'bad-cpus', 'cpus'],
    [{ memory: '16G' }, 'bad-memory', 'memory'],
    [{ envs: { 'a-b': '1' } }, 'bad-env-name', 'envs'],
  ];
  for (const [overrides, code, field] of bad) {
    it(`refuses ${JSON.stringify(overrides)}`, () => {
      assert.throws(
        () => applyOverrides(task, overrides),
        (error) => error instanceof TaskError && error.code === code && error.field === field,
      );
    });
  }
});

describe('missingValues', () => {
  it('lists what exec must ask for, in order', () => {
    assert.deepEqual(missingValues(taskOf('envs: {B:, A: ~, C: ""}\nsecrets: {S: null}\n')), {
      envs: ['B', 'A'],
      secrets: ['S'],
    });
  });
});

describe('commandTask', () => {
  it('is what SkyPilot makes of an inline command', () => {
    const task = commandTask('nvidia-smi');
    assert.deepEqual(task, { ...taskOf('name: sky-cmd\nrun: nvidia-smi\n') });
  });
});
