import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

describe('a waiting job', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  const gpu = 'resources: {accelerators: "V100:1"}\n';
  before(async () => {
    await world.nodes.add('node-a', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 1, memoryMiB: 16384 } });
    await world.open();
    await world.cluster('c', ['node-a']);
  });
  after(() => world.close());

  const started = async (ids: readonly number[]): Promise<number[]> => {
    for (const id of ids) assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    return [...ids].sort(
      (a, b) =>
        (world.engine.job('c', a).record.endedAt ?? 0) - (world.engine.job('c', b).record.endedAt ?? 0),
    );
  };
  const submit = async (run: string): Promise<number> => (await world.submit('c', `${gpu}run: ${run}`)).id;

  it('is moved up, to the front, before another, by priority, held and let go', async () => {
    const blocker = await submit('sleep 1');
    const ids: number[] = [];
    for (let i = 0; i < 5; i++) ids.push(await submit('sleep 0.05'));
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = ids;
    await world.engine.reorder('c', b, { move: 'up' });
    await world.engine.reorder('c', e, { move: 'first' });
    await world.engine.reorder('c', d, { move: a });
    await world.engine.reorder('c', c, { held: true });
    assert.equal(world.engine.job('c', c).reason?.kind, 'held');
    assert.deepEqual(await started([blocker, e, b, d, a]), [blocker, e, b, d, a]);
    assert.equal(world.status('c', c), 'PENDING');
    await world.engine.reorder('c', c, { held: false });
    assert.equal((await world.ended('c', c)).status, 'SUCCEEDED');
  });

  it('keeps its place and its hold over a restart, and cannot be moved once it runs', async () => {
    const blocker = await submit('sleep 0.8');
    const first = await submit('sleep 0.05');
    const second = await submit('sleep 0.05');
    const held = await submit('sleep 0.05');
    await world.engine.reorder('c', second, { priority: 5 });
    await world.engine.reorder('c', held, { held: true });
    await assert.rejects(world.engine.reorder('c', blocker, { move: 'first' }), /does not wait any more/);
    await world.shut();
    await world.open();
    assert.deepEqual(await started([second, first]), [second, first]);
    assert.equal(world.engine.job('c', held).reason?.kind, 'held');
    void world.engine.cancel('c', [held]);
  });

  it('that is cancelled is so on disk when that is acknowledged', async () => {
    const blocker = await submit('sleep 60');
    for (let n = 0; n < 10; n++) {
      const { id, uuid } = await world.submit('c', `${gpu}run: 'true'`);
      await world.engine.reorder('c', id, { held: true });
      await world.until(() => world.engine.view('c')?.staged === 0, 'no node has it');
      await world.engine.cancel('c', [id]);
      // What a SIGKILL would leave.
      const lines = readFileSync(path.join(world.home, 'store.journal'), 'utf8').split('\n');
      assert.ok(lines.some((line) => line.includes(uuid) && line.includes('CANCELLED')));
    }
    await world.engine.cancel('c', [blocker]);
    await world.ended('c', blocker);
  });

  it('starts after others have succeeded, and never when one has not', async () => {
    const options = { cluster: 'c', user: 'me' };
    const { taskOf } = await import('../support/world');
    const good = await world.submit('c', 'run: sleep 0.2');
    const after = await world.engine.submit(taskOf('run: echo after'), { ...options, after: [good.id] });
    assert.match(world.engine.job('c', after.id).reason?.text ?? '', /starts when job \d+ has succeeded/);
    const bad = await world.submit('c', 'run: exit 1');
    const never = await world.engine.submit(taskOf('run: echo never'), {
      ...options,
      after: [good.id, bad.id],
    });
    const chained = await world.engine.submit(taskOf('run: echo never'), { ...options, after: [never.id] });
    assert.equal((await world.ended('c', after.id)).status, 'SUCCEEDED');
    assert.equal((await world.ended('c', never.id)).status, 'CANCELLED');
    assert.equal((await world.ended('c', chained.id)).status, 'CANCELLED');
    assert.ok(
      (world.engine.job('c', after.id).record.startedAt ?? 0) >=
        (world.engine.job('c', good.id).record.endedAt ?? Infinity) - 1000,
    );
  });
});
