import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { taskOf } from '../support/world';
import { Cq } from './cq';

describe('cq fetch', function () {
  this.timeout(60_000);
  const cq = new Cq();
  const here = (...parts: string[]): string => path.join(cq.dir, ...parts);
  after(() => cq.close());

  before(async () => {
    mkdirSync(here('code'));
    const engine = await Engine.open({ home: cq.home, localEnv: { HOME: cq.dir } });
    await engine.addCluster({ name: 'local', nodes: [{ name: 'here' }] });
    const run =
      'mkdir outputs; echo 12345 >outputs/a.pt; echo b >outputs/b.txt; echo top >top; echo no >.hidden';
    await engine.submit(taskOf(`workdir: ${here('code')}\nrun: ${run}`), { cluster: 'local', user: 'me' });
    while (engine.busy) await new Promise<void>((resolve) => engine.onDidChange(() => resolve()));
    await engine.close();
  });

  it('brings what a pattern names to the folder that --to names, and says how much that was', async () => {
    const { code, stdout, stderr } = await cq.run('fetch', 'local', '1', 'outputs/*.pt', '--to', 'results');
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '' }, stderr);
    assert.match(stderr, /^1 file, \d+ bytes, in .*results$/m);
    assert.equal(readFileSync(here('results', 'outputs', 'a.pt'), 'utf8'), '12345\n');
    assert.ok(!existsSync(here('results', 'outputs', 'b.txt')) && !existsSync(here('results', 'top')));
  });

  it('brings all but hidden files to CLUSTER-JOB_ID when nothing is named', async () => {
    const { code, stderr } = await cq.run('fetch', 'local', '1');
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(here('local-1', 'top'), 'utf8'), 'top\n');
    assert.equal(readFileSync(here('local-1', 'outputs', 'b.txt'), 'utf8'), 'b\n');
    assert.ok(!existsSync(here('local-1', '.hidden')));
  });

  it('says what is wrong with a pattern, a job and a cluster', async () => {
    for (const [args, words] of [
      [['local', '1', '../x'], /"\.\.\/x" does not name something in the job's own folder/],
      [['local', '7'], /local has no job 7/],
      [['nowhere', '1'], /nowhere/],
    ] as const) {
      const { code, stderr } = await cq.run('fetch', ...args);
      assert.notEqual(code, 0);
      assert.match(stderr, words);
    }
  });
});
