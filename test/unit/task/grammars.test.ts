import assert from 'node:assert/strict';
import {
  envNameFlaw,
  parseAccelerator,
  parseCpus,
  parseMemory,
  parseTask,
  parseTimeLimit,
  taskNameFlaw,
} from '../../../src/task';
import { timeLimitText } from '../../../src/queue';

describe('an accelerator', () => {
  const good: [string, object][] = [
    ['V100', { name: 'V100', count: 1 }],
    ['v100:8', { name: 'v100', count: 8 }],
    ['V100:8.0', { name: 'V100', count: 8 }],
    ['A100-80GB:0.5', { name: 'A100-80GB', count: 0.5 }],
    ['RTX 4090:2', { name: 'RTX 4090', count: 2 }],
    ['tpu-v4-8', { name: 'tpu-v4-8', count: 1 }],
    ['16GB', { memoryMiB: { amount: 16384, atLeast: false }, count: 1 }],
    ['16gb+', { memoryMiB: { amount: 16384, atLeast: true }, count: 1 }],
    ['1TB:2', { memoryMiB: { amount: 1048576, atLeast: false }, count: 2 }],
    ['nvidia:24GB+', { vendor: 'nvidia', memoryMiB: { amount: 24576, atLeast: true }, count: 1 }],
    ['nvidia:24GB+:4', { vendor: 'nvidia', memoryMiB: { amount: 24576, atLeast: true }, count: 4 }],
  ];
  for (const [text, value] of good) {
    it(`${text} is read`, () => assert.deepEqual(parseAccelerator(text), { value }));
  }

  for (const text of [
    '',
    ':1',
    'V100:',
    'V100:0',
    'V100:-1',
    'V100:1.5',
    'V100:nan',
    'V100:inf',
    'a:b:c',
    'a:16GB:1:1',
    '16GB:x',
    '16GB:0',
    '0GB',
    '512MB',
  ]) {
    it(`${text || 'an empty text'} is refused`, () => {
      const { value, flaw } = parseAccelerator(text);
      assert.equal(value, undefined);
      assert.equal(flaw?.severity, 'error');
    });
  }
});

describe('cpus and memory', () => {
  it('are amounts, exact or at least', () => {
    assert.deepEqual(parseCpus('4'), { value: { amount: 4, atLeast: false } });
    assert.deepEqual(parseCpus('0.5+'), { value: { amount: 0.5, atLeast: true } });
    assert.deepEqual(parseMemory('16'), { value: { amount: 16384, atLeast: false } });
    assert.deepEqual(parseMemory('16 gb+'), { value: { amount: 16384, atLeast: true } });
    assert.deepEqual(parseMemory('512Mi'), { value: { amount: 512, atLeast: false } });
    assert.deepEqual(parseMemory('2x'), { value: { amount: 2, atLeast: false, perCpu: true } });
  });

  it('are refused with what was meant, where that is plain', () => {
    assert.equal(parseMemory('16G').flaw?.replacement, '16GB');
    assert.equal(parseMemory('16GiB').flaw?.replacement, '16GB');
    assert.equal(parseMemory('16+GB').flaw?.replacement, undefined);
    for (const text of ['', 'x', '1B', '2x+', '0', '-1', 'nan']) assert.ok(parseMemory(text).flaw, text);
    for (const text of ['', '+', 'four', '0', 'inf']) assert.ok(parseCpus(text).flaw, text);
  });
});

describe('numbers that no machine has', () => {
  it('are out of range, at their token', () => {
    for (const flaw of [
      parseCpus('1e308').flaw,
      parseCpus('2000000+').flaw,
      parseMemory('1e308').flaw,
      parseMemory('1e308PB').flaw,
      parseMemory('1e308x').flaw,
      parseAccelerator('V100:1e308').flaw,
      parseAccelerator('16GB:99999999999999999999').flaw,
    ])
      assert.equal(flaw?.code, 'out-of-range');
    for (const field of ['cpus: ', 'memory: ', 'accelerators: V100:']) {
      const text = `resources:\n  ${field}1e308\nrun: echo\n`;
      const [problem, ...more] = parseTask(text).problems;
      assert.deepEqual([problem?.code, more.length], ['out-of-range', 0], field);
      assert.match(text.slice(problem?.start, problem?.end), /1e308$/);
    }
  });
});

describe('names', () => {
  it('of tasks follow SkyPilot', () => {
    for (const name of ['train', 'a.b', 'a--b', '1', 'A_1'])
      assert.equal(taskNameFlaw(name), undefined, name);
    for (const name of ['', 'a-', '-a', 'a---b', 'a b', 'é', 'a\n']) assert.ok(taskNameFlaw(name), name);
    assert.equal(taskNameFlaw('my task!')?.replacement, 'my-task');
  });

  it('of a hostile length are refused at once', () => {
    const start = performance.now();
    assert.ok(taskNameFlaw(`${'a'.repeat(100_000)}!`));
    assert.ok(performance.now() - start < 100);
  });

  it('of variables follow the shell', () => {
    for (const name of ['A', '_a1']) assert.equal(envNameFlaw(name), undefined);
    assert.equal(envNameFlaw('1-a')?.replacement, '_1_a');
  });
});

describe('time limits', () => {
  it('are read as seconds, and written the same way', () => {
    for (const [text, seconds, back] of [
      ['90s', 90, '1m30s'],
      ['30m', 1800, '30m'],
      ['30', 1800, '30m'],
      ['4h', 14_400, '4h'],
      ['1d', 86_400, '1d'],
      ['1h30m', 5400, '1h30m'],
      [' 1D2H ', 93_600, '1d2h'],
    ] as const) {
      assert.equal(parseTimeLimit(text).value, seconds);
      assert.equal(timeLimitText(seconds), back);
    }
  });

  it('that mean nothing are refused with the forms', () => {
    for (const text of ['', 'h', '4 h', '1m2h', '-1', '1.5h', '0', '0s', '366d', '4hours'])
      assert.match(parseTimeLimit(text).flaw?.message ?? '', /time limit/i, text);
  });
});
