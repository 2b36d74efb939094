// Mocha's spec reporter, which also leaves the titles of what passed, failed and was skipped in the file named by CLUSTER_QUEUE_TEST_COUNTS.
import fs from 'node:fs';
import process from 'node:process';
import Mocha from 'mocha';

export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const file = process.env.CLUSTER_QUEUE_TEST_COUNTS;
    if (!file) return;
    runner.once('end', () => {
      fs.writeFileSync(file, JSON.stringify({ passed, failed, skipped }));
    });
    const [passed, failed, skipped] = [[], [], []];
    runner.on('pass', (test) => passed.push(test.fullTitle()));
    runner.on('pending', (test) => skipped.push(test.fullTitle()));
    runner.on('fail', (test) => failed.push({ title: test.fullTitle(), suite: test.parent.fullTitle() }));
  }
}
