import assert from 'node:assert/strict';
import path from 'node:path';
import type { JobRecord } from '../../src/queue';
import { haveSshd, type TestNode } from '../support/sshd';
import { taskOf, World } from '../support/world';

const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 };

describe('time limits and retries', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let first: TestNode;
  before(async () => {
    const env = { CLUSTER_QUEUE_RETRY_PAUSE: '1', CLUSTER_QUEUE_GO_TIMEOUT: '3' };
    first = await world.nodes.add('node-a', { gpus: GPUS, env });
    await world.nodes.add('node-b', { gpus: GPUS, env });
    await world.open();
    await world.cluster('c', ['node-a']);
    await world.cluster('two', ['node-a', 'node-b']);
  });
  after(() => world.close());

  const submit = (
    cluster: string,
    yaml: string,
    more: { timeoutS?: number; retries?: number },
  ): Promise<JobRecord> => world.engine.submit(taskOf(yaml), { cluster, user: 'me', ...more });
  const tries = (cluster: string, id: number): number => world.engine.job(cluster, id).record.tries ?? 1;

  it('end a job that takes too long, and say so', async () => {
    const { id } = await submit('c', 'run: trap "exit 0" TERM; sleep 300 & wait', {
      timeoutS: 1,
      retries: 2,
    });
    const record = await world.ended('c', id);
    assert.equal(record.status, 'FAILED');
    assert.equal(record.message, 'ended after its time limit of 1s');
    assert.equal(record.tries, undefined);
  });

  it('run a failed job again until it succeeds, in the workdir as it left it, and once more by Run Again', async () => {
    const { id } = await submit(
      'c',
      'run: echo "$CLUSTER_QUEUE_TRY"; [ "$CLUSTER_QUEUE_TRY" -gt 1 ] || exit 3',
      { timeoutS: 3600, retries: 2 },
    );
    const record = await world.ended('c', id);
    assert.deepEqual([record.status, record.tries, record.message], ['SUCCEEDED', 2, undefined]);
    assert.equal(await world.log('c', id), '1\n[cluster-queue] exit code 3; try 2 of 3 in 1 s\n2\n');
    const again = await world.engine.runAgain('c', id, 'me');
    assert.deepEqual([again.spec.timeoutS, again.spec.retries, again.tries], [3600, 2, undefined]);
    assert.equal((await world.ended('c', again.id)).tries, 2);
  });

  it('fail when the last try does, with the number that the task file says', async () => {
    const { id } = await submit(
      'c',
      'resources: {job_recovery: {max_restarts_on_errors: 1}}\nrun: exit 5',
      {},
    );
    const record = await world.ended('c', id);
    assert.deepEqual([record.status, record.message], ['FAILED', 'exit code 5 in try 2']);
  });

  it('hold while no engine is there', async () => {
    const { id } = await submit('c', 'run: echo t; [ "$CLUSTER_QUEUE_TRY" = 3 ]', { retries: 5 });
    const slow = await submit('c', 'run: sleep 300', { timeoutS: 3 });
    await world.until(() => world.status('c', slow.id) === 'RUNNING', 'both run');
    await world.until(() => tries('c', id) === 2, 'it is tried again');
    await world.shut();
    await new Promise((resolve) => setTimeout(resolve, 4500));
    await world.open();
    const record = await world.ended('c', id);
    assert.deepEqual([record.status, record.tries], ['SUCCEEDED', 3]);
    assert.match((await world.ended('c', slow.id)).message ?? '', /time limit of 3s/);
    assert.equal((await world.log('c', id)).match(/^t$/gm)?.length, 3);
  });

  it('run a gang again as a whole', async () => {
    const { id } = await submit(
      'two',
      'num_nodes: 2\nrun: |\n  echo "try $CLUSTER_QUEUE_TRY"\n  [ "$CLUSTER_QUEUE_TRY" = 3 ] && exit 0\n  [ "$SKYPILOT_NODE_RANK" = 1 ] && exit 7\n  sleep 300\n',
      { retries: 2 },
    );
    const record = await world.ended('two', id);
    assert.deepEqual([record.status, record.tries], ['SUCCEEDED', 3], record.message);
    const log = await world.log('two', id);
    for (const rank of ['rank0', 'rank1', 'head', 'worker1'])
      if (log.includes(rank)) assert.match(log, /try 1[^]*try 2[^]*try 3/);
    assert.match(log, /another rank failed; try 2 of 3/);
    assert.match(log, /exit code 7; try 2 of 3/);
  });

  it('run a gang again whose ranks all fail at once', async () => {
    const { id } = await submit('two', 'num_nodes: 2\nrun: exit $((CLUSTER_QUEUE_TRY < 3))', { retries: 4 });
    const record = await world.ended('two', id);
    assert.deepEqual([record.status, record.tries], ['SUCCEEDED', 3], record.message);
  });

  it('do not run a gang again of which a rank has succeeded, and say why', async () => {
    const { id } = await submit(
      'two',
      'num_nodes: 2\nrun: |\n  [ "$SKYPILOT_NODE_RANK" = 0 ] && exit 0\n  sleep 0.5; exit 7\n',
      { retries: 2 },
    );
    const record = await world.ended('two', id);
    assert.equal(record.status, 'FAILED');
    assert.match(
      record.message ?? '',
      /rank 1 \(node-b\) failed with exit code 7 when rank 0 \(node-a\) had succeeded/,
    );
  });

  it('run a gang again also when the engine came back in the middle', async () => {
    const mark = path.join(first.home, 'fail-now');
    const { id } = await submit(
      'two',
      `num_nodes: 2\nrun: |\n  [ "$CLUSTER_QUEUE_TRY" = 2 ] && exit 0\n  [ "$SKYPILOT_NODE_RANK" = 1 ] && sleep 300\n  touch ${mark}; sleep 0.4; exit 9\n`,
      { retries: 1 },
    );
    await world.until(() => world.status('two', id) === 'RUNNING', 'it runs');
    await world.shut();
    await new Promise((resolve) => setTimeout(resolve, 900));
    await world.open();
    const record = await world.ended('two', id);
    assert.deepEqual([record.status, record.tries], ['SUCCEEDED', 2], record.message);
  });

  it('fail a gang that nobody let try again, with the code of the rank that failed', async () => {
    const { id } = await submit(
      'two',
      `num_nodes: 2\nrun: |\n  [ "$SKYPILOT_NODE_RANK" = 1 ] && sleep 300\n  sleep 0.4; exit 9\n`,
      { retries: 1 },
    );
    await world.until(() => world.status('two', id) === 'RUNNING', 'it runs');
    await world.shut();
    await new Promise((resolve) => setTimeout(resolve, 7000));
    await world.open();
    const record = await world.ended('two', id);
    assert.equal(record.status, 'FAILED');
    assert.match(record.message ?? '', /rank 0 \(node-a\) was not tried again.*its exit code was 9/);
  });

  it('are called off by a cancel between two tries', async () => {
    const { id } = await submit('two', 'num_nodes: 2\nrun: exit 1', { retries: 9 });
    await world.until(() => tries('two', id) === 2, 'it is to be tried again');
    void world.engine.cancel('two', [id]);
    assert.equal((await world.ended('two', id)).status, 'CANCELLED');
  });
});

describe('the declared GPUs of this machine', function () {
  this.timeout(60_000);

  it('are not changed under the jobs that run on them', async () => {
    const world = new World();
    try {
      const engine = await world.open();
      await engine.defineLocal('local', { name: 'V100', count: 2 });
      const { id } = await world.submit('local', 'resources: {accelerators: "V100:1"}\nrun: sleep 300');
      await world.until(() => world.status('local', id) === 'RUNNING', 'it runs');
      await engine.defineLocal('local', { name: 'V100', count: 2 });
      await assert.rejects(
        engine.defineLocal('local', undefined),
        /local keeps V100:2: .* cannot be changed to those that are found while jobs run/,
      );
      void world.engine.cancel('local', [id]);
      await world.ended('local', id);
      await engine.defineLocal('local', { name: 'A100', count: 1 });
      await world.until(
        () => engine.view('local')?.nodes[0]?.usage?.devices[0]?.name === 'A100',
        'it has other GPUs',
      );
    } finally {
      await world.close();
    }
  });
});
