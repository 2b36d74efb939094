import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

const FILE = `
name: gang
num_nodes: 2
resources:
  accelerators: V100:4
run: |
  echo "rank=$SKYPILOT_NODE_RANK devices=$CUDA_VISIBLE_DEVICES"
  while [ ! -e "$HOME/end" ]; do sleep 0.1; done
`;

describe('cq, on four real sshd nodes of 8 × V100', function () {
  if (!haveSshd) return;
  this.timeout(120_000);
  const nodes = new TestNodes();
  const cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile });
  const engine = { stop: (): Promise<unknown> => Promise.resolve() };
  const homes: string[] = [];
  const names = ['node-1', 'node-2', 'node-3', 'node-4'];
  before(async () => {
    for (const name of names) {
      const { home } = await nodes.add(name, {
        gpus: { name: 'Tesla V100-SXM2-32GB', count: 8, memoryMiB: 32768 },
      });
      homes.push(home);
    }
    const running = cq.start('engine');
    await running.said(/this process has the queue/);
    engine.stop = () => running.stop('SIGINT');
  });
  after(async () => {
    await engine.stop();
    await cq.close();
    await nodes.close();
  });

  it('fills them with four tasks of two nodes, four devices on each, by what the jobs print; the fifth waits', async () => {
    const file = path.join(cq.dir, 'gang.yaml');
    writeFileSync(file, FILE);
    // Hosts without a task are a cluster of all of them.
    const launched = await cq.run('launch', '-c', 'four', '--hosts', names.join(','));
    assert.equal(launched.code, 0, launched.stderr);
    assert.doesNotMatch(launched.stderr, /passed over/);
    for (let i = 1; i <= 5; i++) {
      const { code, stderr } = await cq.run('exec', 'four', file, '-d');
      assert.equal(code, 0, stderr);
    }
    const followed = [1, 2, 3, 4].map((id) => cq.start('logs', 'four', String(id)));
    await Promise.all(followed.map((log) => log.said(/rank=0[^]*rank=1|rank=1[^]*rank=0/)));
    const waiting = (await cq.run('queue', 'four', '--wide', '--skip-finished')).stdout;
    assert.match(waiting, /^5 +gang .* PENDING .*waiting for 4 × V100 on 2 nodes: none has enough free/m);

    for (const home of homes) writeFileSync(path.join(home, 'end'), '');
    const given = (await Promise.all(followed.map(({ end }) => end))).flatMap(({ code, stdout }) => {
      assert.equal(code, 0);
      const lines = [...stdout.matchAll(/^\(rank (\d), (node-\d)\) rank=(\d) devices=([\d,]+)$/gm)];
      assert.deepEqual(lines.map(([, said, , rank]) => `${said} ${rank}`).sort(), ['0 0', '1 1']);
      assert.equal(new Set(lines.map(([, , node]) => node)).size, 2, stdout);
      return lines.flatMap(([, , node, , devices = '']) =>
        devices.split(',').map((device) => `${node}:${device}`),
      );
    });
    assert.deepEqual(
      given.sort(),
      names.flatMap((name) => Array.from({ length: 8 }, (_, index) => `${name}:${index}`)),
    );
    assert.equal((await cq.run('logs', 'four', '5')).code, 0);
  });

  it('launches as many as --num-nodes says, of a file or of none, and names those that are not needed', async () => {
    const file = path.join(cq.dir, 'one.yaml');
    writeFileSync(file, 'run: echo one\n');
    const launch = async (name: string, ...more: string[]): Promise<[string | undefined, string[]]> => {
      const { code, stderr } = await cq.run('launch', '-c', name, '--hosts', names.join(','), '-d', ...more);
      assert.equal(code, 0, stderr);
      const { clusters } = JSON.parse((await cq.run('status', '--json')).stdout) as {
        clusters: { name: string; nodes: { name: string }[] }[];
      };
      const made = clusters.find((cluster) => cluster.name === name);
      return [/^passed over .*$/m.exec(stderr)?.[0], made?.nodes.map((node) => node.name) ?? []];
    };
    assert.deepEqual(await launch('one', file), [
      'passed over node-2, node-3, node-4: not needed (num_nodes is 1)',
      ['node-1'],
    ]);
    const two = ['passed over node-3, node-4: not needed (num_nodes is 2)', ['node-1', 'node-2']];
    assert.deepEqual(await launch('two', file, '--num-nodes', '2'), two);
    assert.deepEqual(await launch('none', '--num-nodes', '2'), two);
    // Once more, with the same words: the cluster is there, of those that were taken.
    assert.deepEqual(await launch('two', file, '--num-nodes', '2'), [undefined, ['node-1', 'node-2']]);
  });

  it('says of one that runs which node cannot be reached, and does not call it cancelled before it is', async () => {
    const file = path.join(cq.dir, 'long.yaml');
    writeFileSync(file, 'num_nodes: 2\nrun: echo begun; sleep 300\n');
    const running = cq.start('exec', 'two', file);
    await running.said(/begun[^]*begun/);
    const { two } = JSON.parse((await cq.run('queue', '--json', 'two')).stdout) as Record<
      string,
      { id: number }[]
    >;
    const id = Math.max(...(two ?? []).map((job) => job.id));
    const alone = id + 1;
    assert.equal((await cq.run('exec', 'two', '-d', '--', 'sleep 300')).code, 0);
    const away = nodes.find('node-2');
    await away.crash();
    await running.said(/^job \d+: out of touch with node-2: .*[^)]$/m);
    const shown = (await cq.run('queue', 'two', '--wide', '--skip-finished')).stdout;
    assert.match(shown, new RegExp(`^${id} .* RUNNING .*out of touch with node-2: `, 'm'));
    const cancelled = await cq.run('cancel', 'two', String(id), String(alone));
    assert.equal(cancelled.code, 1);
    assert.equal(cancelled.stdout, `cancelled on two: job ${alone}\n`);
    assert.match(
      cancelled.stderr,
      new RegExp(
        `^cq: job ${id} of two could not be ended yet; it is, as soon as its node answers\n {2}.*node-2`,
      ),
    );
    await away.start();
    assert.match((await running.end).stderr, new RegExp(`job ${id} CANCELLED`));
  });
});
