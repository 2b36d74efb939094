import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';
import { noneLeft } from './processes';
import { long, times } from './scale';

describe('a log', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  const world = new World();
  let home = '';
  before(async () => {
    ({ home } = await world.nodes.add('node-a', {
      gpus: { name: 'Tesla V100-SXM2-16GB', count: 4 },
    }));
    await world.open();
    await world.cluster('c', ['node-a']);
  });
  after(() => world.close());

  const digest = async (file: string): Promise<string> => {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    return hash.digest('hex');
  };
  /** Follows a job's log from its start to its end and compares it with the node's own, byte by byte. */
  const same = async (id: number): Promise<number> => {
    const { mirror, release } = world.engine.log('c', id);
    let seen = 0;
    let next = 0;
    mirror.onAppend(({ at, bytes }) => {
      assert.equal(at, next, 'the appends leave no gap');
      next = at + bytes.length;
      seen += bytes.length;
    });
    if (!mirror.complete) await new Promise<void>((resolve) => void mirror.onEnd(() => resolve()));
    const { uuid } = await world.ended('c', id, 300_000);
    const original = path.join(home, '.cluster-queue', 'node-a', 'jobs', `${uuid}-0`, 'run.log');
    assert.equal(await digest(mirror.file), await digest(original));
    release();
    return seen;
  };

  it('of very many bytes arrives whole, and the memory of the queue stays small', async () => {
    const megabytes = times('LOG_MB', 30, 200);
    const { id } = await world.submit(
      'c',
      `run: head -c ${megabytes}000000 /dev/zero | tr '\\0' x | fold -w 100`,
    );
    const before = process.memoryUsage().rss;
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 50);
    const start = performance.now();
    const bytes = await same(id);
    clearInterval(timer);
    const grown = Math.max(0, Math.round((most - before) / 1e6));
    assert.ok(bytes >= megabytes * 1e6);
    assert.ok(grown < 200, `the queue grew by ${grown} MB`);
    const seconds = (performance.now() - start) / 1000;
    console.log(`      ${megabytes} MB in ${seconds.toFixed(1)} s, memory grew by ${grown} MB`);
  });

  it('with lines of 10 MB and every byte there is arrives whole', async () => {
    const { id } = await world.submit(
      'c',
      `run: |
  head -c 10000000 /dev/zero | tr '\\0' y; echo
  head -c 1000000 /dev/urandom
  printf '\\0\\r\\n\\r\\377\\376D 1 0 5\\nX a 0 0 exit\\n'
`,
    );
    assert.ok((await same(id)) > 11_000_000);
  });

  it('of twenty jobs that are followed at once arrives line by line, each once', async () => {
    const seconds = times('FOLLOW_S', 3, 20);
    const count = 20;
    const run = `for i in {1..${seconds * 10}}; do echo "line $i of $SKYPILOT_INTERNAL_JOB_ID"; sleep 0.1; done`;
    const yaml = `resources: {cpus: 0.05}\nrun: |\n  ${run}\n`;
    const records = await Promise.all(Array.from({ length: count }, () => world.submit('c', yaml)));
    const sizes = await Promise.all(records.map(({ id }) => same(id)));
    assert.ok(sizes.every((size) => size > seconds * 100));
    await noneLeft(home);
  });
});
