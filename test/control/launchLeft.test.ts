import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { launch, nodesOf, openQueue, type Launched, type Queue } from '../../src/control';
import type { ClusterView } from '../../src/engine';
import { endOf } from '../support/queues';
import { haveSshd, TestNodes } from '../support/sshd';
import { taskOf } from '../support/world';

/** A download that lasts until the test lets it go. */
const curl = `while [ "$1" != -o ]; do shift; done
echo fetched >>~/fetches; until [ -e ~/go ]; do sleep 0.02; done; echo web >"$2"`;

const yaml = `file_mounts: {~/page: https://example.com/page}
setup: echo setup >>~/ran
run: cat ~/page >>~/ran
`;

describe('a launch whose process goes away', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-left-'));
  const file = path.join(dir, 'cluster.yaml');
  const nodes = new TestNodes();
  let count = 0;
  let home = '';
  let queues: Queue[] = [];

  beforeEach(async () => {
    const node = await nodes.add(`node-${++count}`, { tools: { curl } });
    home = node.home;
  });
  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.close()));
    queues = [];
  });
  after(async () => {
    await nodes.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const open = async (): Promise<Queue> => {
    const queue = await openQueue({
      home: path.join(home, 'state'),
      version: 'test',
      sshConfigFile: nodes.configFile,
      graceS: 1,
    });
    queues.push(queue);
    return queue;
  };
  const go = (queue: Queue): Promise<Launched> =>
    launch(
      queue,
      { name: 'c', nodes: nodesOf([`node-${count}`]), task: taskOf(yaml), file, user: 'me' },
      { say: () => undefined, signal: new AbortController().signal },
    );
  const seen = (queue: Queue, what: (view: ClusterView) => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        const view = queue.view('c');
        if (!view || !what(view)) return;
        stop();
        resolve();
      };
      const stop = queue.onDidChange(check);
      check();
    });
  const fetching = async (): Promise<void> => {
    while (!existsSync(path.join(home, 'fetches'))) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  /** The download of whoever went is over. */
  const fetched = async (): Promise<void> => {
    while (!existsSync(path.join(home, 'page'))) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const letGo = (): void => writeFileSync(path.join(home, 'go'), '');
  const ranOnce = async (queue: Queue): Promise<void> => {
    assert.deepEqual(
      queue.jobs('c').map(({ record }) => record.name),
      ['cluster', 'setup'],
    );
    assert.equal((await endOf(queue, 'c', 2)).status, 'SUCCEEDED');
    assert.equal(readFileSync(path.join(home, 'ran'), 'utf8'), 'setup\nweb\n');
    assert.equal(readFileSync(path.join(home, 'fetches'), 'utf8'), 'fetched\n');
    assert.equal(queue.view('c')?.launch, undefined);
  };

  it('is said to be broken off when its process shared the queue, and goes on when it is taken up', async () => {
    const queue = await open();
    const other = await open();
    assert.equal(other.role, 'client');
    const lost = assert.rejects(go(other));
    await fetching();
    assert.equal(queue.view('c')?.launch?.message, undefined);
    await other.close();
    await lost;
    await seen(queue, ({ launch: step }) => /was broken off/.test(step?.message ?? ''));
    assert.equal(queue.view('c')?.launch?.name, 'files');
    letGo();
    await go(queue);
    await ranOnce(queue);
  });

  it('is said to be broken off when its process had the queue, also while it looked for hosts', async () => {
    const first = await open();
    const under = { name: 'connect', file } as const;
    await first.addCluster({ name: 'c', nodes: nodesOf([`node-${count}`]), launch: { step: under } });
    await first.close();
    const second = await open();
    assert.match(second.view('c')?.launch?.message ?? '', /was broken off/);
    const lost = assert.rejects(go(second));
    await fetching();
    await second.close();
    await lost;
    const third = await open();
    const { name, message, file: again } = third.view('c')?.launch ?? {};
    assert.deepEqual([name, again], ['files', file]);
    assert.match(message ?? '', /was broken off/);
    letGo();
    await go(third);
    await ranOnce(third);
  });

  it('fetches nothing anew that came while nobody was there', async () => {
    const first = await open();
    const lost = assert.rejects(go(first));
    await fetching();
    await first.close();
    await lost;
    letGo();
    await fetched();
    const second = await open();
    await go(second);
    await ranOnce(second);
    // Whoever launches anew wants it as it is now.
    await go(second);
    assert.equal(readFileSync(path.join(home, 'fetches'), 'utf8'), 'fetched\nfetched\n');
  });

  it('goes on where only the process that had the queue went, and says so', async () => {
    const first = await open();
    const other = await open();
    const launched = go(other);
    await fetching();
    await first.close();
    await seen(other, ({ launch: step }) => other.role === 'host' && step?.message === undefined);
    letGo();
    await launched;
    await ranOnce(other);
  });

  for (const [what, breakOff] of [
    [
      'between its two jobs',
      (queue: Queue) =>
        Object.assign(Object.create(queue) as Queue, {
          submit: (...args: Parameters<Queue['submit']>) =>
            args[1].phase === 'setup' ? queue.submit(...args) : Promise.reject(new Error('gone')),
        }),
    ],
    [
      'after them',
      (queue: Queue) =>
        Object.assign(Object.create(queue) as Queue, {
          noteLaunch: (...args: Parameters<Queue['noteLaunch']>) =>
            args[1] ? queue.noteLaunch(...args) : Promise.reject(new Error('gone')),
        }),
    ],
  ] as const)
    it(`queues no job twice when it ends ${what}`, async () => {
      letGo();
      await assert.rejects(go(breakOff(await open())), /gone/);
      await queues[0]?.close();
      const queue = await open();
      if (what === 'after them') assert.equal(queue.view('c')?.launch, undefined, 'it is done');
      else await go(queue);
      await ranOnce(queue);
    });
});
