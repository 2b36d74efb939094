import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cases } from '../../bench/cases';
import { keep, printed, writeReport } from '../../bench/report';
import { validation } from '../../bench/cases/validation';
import { judge, quantile } from '../../bench/statistics';

describe('The benchmark', () => {
  it('runs a quick case and writes its report and its plot', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-test-'));
    try {
      const outcome = await validation.run({ quick: true, has: () => false });
      keep(folder, validation, outcome);
      writeReport(folder, cases);
      const report = readFileSync(path.join(folder, 'results.md'), 'utf8');
      assert.match(report, /## validation: .*\n[^]*\| 50 lines \| \d/);
      assert.match(readFileSync(path.join(folder, 'figures', 'validation.svg'), 'utf8'), /^<svg /);
      assert.match(printed(validation, outcome), /1,000 lines ≤ 10 ms/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('names each case once', () => {
    assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  });

  it('compares medians, and meets no target that was not measured', () => {
    const series = [
      { label: 'ours', unit: 'ms', samples: [1, 2, 30] },
      { label: 'theirs', unit: 'ms', samples: [4, 4] },
    ];
    assert.equal(quantile([1, 2, 3, 4], 0.5), 2.5);
    assert.equal(judge({ of: 'ours', against: 'theirs', most: 0.5 }, series).met, true);
    assert.equal(judge({ of: 'ours', against: 'theirs', least: 0.6 }, series).met, false);
    assert.equal(judge({ of: 'ours', against: 'nobody', most: 9 }, series).met, undefined);
    const sum = judge({ of: 'theirs', against: 'ours', and: 'ours', most: 1 }, series);
    assert.deepEqual([sum.text, sum.value], ['theirs ≤ 1 × (ours + ours)', 1]);
  });
});
