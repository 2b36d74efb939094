// Mocha's spec reporter, which also leaves its counts in the file named by CLUSTER_QUEUE_TEST_COUNTS.
import fs from 'node:fs';
import process from 'node:process';
import Mocha from 'mocha';

export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const file = process.env.CLUSTER_QUEUE_TEST_COUNTS;
    if (!file) return;
    runner.once('end', () => {
      const { passes, pending } = this.stats;
      const failed = this.failures.map((test) => test.fullTitle());
      fs.writeFileSync(file, JSON.stringify({ passed: passes, failed, skipped: pending }));
    });
  }
}
