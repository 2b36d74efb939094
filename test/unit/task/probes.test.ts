import assert from 'node:assert/strict';
import { parseTask } from '../../../src/task';
import { PROBES, type Probe } from './fixtures/probes';

function fileWith({ field, yaml }: Probe): string {
  if (!field.startsWith('TOP.')) return `run: echo\nresources:\n  ${field}: ${yaml}\n`;
  const name = field.slice('TOP.'.length);
  return `${name}: ${yaml}\n${name === 'run' ? 'name: x' : 'run: echo'}\n`;
}

describe('a single value', () => {
  for (const probe of PROBES) {
    const { field, yaml, skypilot, weDifferBecause } = probe;
    const ours = weDifferBecause === undefined ? skypilot : skypilot === 'OK' ? 'BAD' : 'OK';
    const note = weDifferBecause === undefined ? 'as by SkyPilot' : `unlike by SkyPilot: ${weDifferBecause}`;
    it(`${field}: ${yaml} is ${ours === 'OK' ? 'taken' : 'refused'} ${note}`, () => {
      const text = fileWith(probe);
      const { task, problems } = parseTask(text);
      const errors = problems.filter(({ severity }) => severity === 'error');
      assert.equal(errors.length, ours === 'OK' ? 0 : 1, JSON.stringify(errors));
      assert.equal(task !== undefined, ours === 'OK');
      // The value, or for what is wrong with a name in it, its key.
      const [error] = errors;
      if (error)
        assert.ok(text.slice(error.start, error.end).trim() !== '', 'the range covers something visible');
    });
  }
});
