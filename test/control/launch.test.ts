import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { launch, nodesOf, openQueue, type Launched, type Queue } from '../../src/control';
import type { JobRecord } from '../../src/queue';
import { haveSshd, TestNodes } from '../support/sshd';
import { taskOf } from '../support/world';

describe('launching a cluster on real sshd nodes', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const home = mkdtempSync(path.join(os.tmpdir(), 'cq-launch-'));
  const nodes = new TestNodes();
  let queue: Queue;
  const said: string[] = [];

  before(async () => {
    const v100 = { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 };
    for (const [name, gpus] of [
      ['small', { ...v100, count: 1 }],
      ['big-1', v100],
      ['big-2', v100],
      ['big-3', v100],
    ] as const) {
      await nodes.add(name, { gpus });
    }
    queue = await openQueue({
      home: path.join(home, 'state'),
      version: 'test',
      sshConfigFile: nodes.configFile,
      graceS: 1,
    });
  });
  after(async () => {
    await queue.close();
    await nodes.close();
    rmSync(home, { recursive: true, force: true });
  });

  const go = (
    name: string,
    hosts: readonly string[],
    yaml: string,
    file = path.join(home, 'cluster.yaml'),
  ): Promise<Launched> =>
    launch(
      queue,
      { name, nodes: nodesOf(hosts), task: taskOf(yaml), file, user: 'me' },
      { say: (words) => said.push(words), signal: new AbortController().signal },
    );
  const ended = (cluster: string, id: number): Promise<JobRecord> =>
    new Promise((resolve) => {
      const check = (): void => {
        const { record } = queue.job(cluster, id);
        if (record.endedAt === undefined) return;
        stop();
        resolve(record);
      };
      const stop = queue.onDidChange(check);
      check();
    });
  const log = async (cluster: string, id: number): Promise<string> => {
    const { mirror, release } = queue.log(cluster, id);
    if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(resolve));
    release();
    return readFileSync(mirror.file, 'utf8');
  };

  it('takes the hosts that fit, places files, runs setup on all of them and then the task', async () => {
    mkdirSync(path.join(home, 'data'));
    writeFileSync(path.join(home, 'data', 'set.txt'), 'rows');
    writeFileSync(path.join(home, 'token'), 'one file');
    const { setup, run } = await go(
      'mycluster',
      ['small', 'big-1', 'big-2', 'big-3', 'nowhere'],
      `num_nodes: 2
resources: {accelerators: "V100:4"}
file_mounts:
  ~/data: ./data
  ~/.config/token: ./token
setup: |
  echo "setting up rank $SKYPILOT_SETUP_NODE_RANK of $SKYPILOT_NUM_NODES, cuda=\${CUDA_VISIBLE_DEVICES-unset}"
  sleep 0.3; touch ~/is-set-up
run: |
  cat ~/data/set.txt ~/.config/token ~/is-set-up; echo " on $SKYPILOT_NODE_RANK"
`,
    );
    assert.ok(setup && run);
    assert.deepEqual(
      queue.definition('mycluster').nodes.map(({ name }) => name),
      ['big-1', 'big-2'],
    );
    assert.ok(
      said.some((words) => /^small: .*4 × V100/.test(words)),
      said.join('\n'),
    );
    assert.ok(
      said.some((words) => /^nowhere: .*no host named nowhere/.test(words)),
      said.join('\n'),
    );
    assert.match(queue.job('mycluster', run.id).reason?.text ?? '', /starts when job 1 has succeeded/);
    const record = await ended('mycluster', run.id);
    assert.equal(record.status, 'SUCCEEDED');
    assert.ok(
      (record.startedAt ?? 0) >= (queue.job('mycluster', setup.id).record.endedAt ?? Infinity) - 1000,
    );
    assert.match(await log('mycluster', setup.id), /^\(rank 1, big-2\) setting up rank 1 of 2, cuda=unset$/m);
    assert.match(await log('mycluster', run.id), /^\(rank 0, big-1\) rowsone file on 0$/m);
  });

  it('fails as FAILED_SETUP, names the node, keeps the cluster, and does not run the task', async () => {
    const { setup, run } = await go(
      'broken',
      ['big-1', 'big-3'],
      'num_nodes: 2\nsetup: |\n  [ "$SKYPILOT_SETUP_NODE_RANK" = 0 ] && sleep 5\n  exit 4\nrun: echo never\n',
    );
    assert.ok(setup && run);
    const record = await ended('broken', setup.id);
    assert.equal(record.status, 'FAILED_SETUP');
    assert.match(record.message ?? '', /rank 1 \(big-3\) failed first with exit code 4/);
    const never = await ended('broken', run.id);
    assert.equal(never.status, 'CANCELLED');
    assert.match(never.message ?? '', /job 1 \(setup\) had succeeded, but that one is FAILED_SETUP/);
    assert.ok(queue.view('broken'));
  });

  it('leaves nothing when too few hosts fit, and says of each what was found', async () => {
    await assert.rejects(
      go('none', ['small', 'big-1'], 'num_nodes: 2\nresources: {accelerators: "V100:4"}\nrun: echo'),
      /none needs 2 hosts that fit, and 1 of 2 did: small: .*4 × V100.*; big-1: fits/,
    );
    assert.equal(queue.view('none'), undefined);
  });

  it('refuses a mount that only a cloud has', async () => {
    await assert.rejects(
      go('mycluster', [], 'file_mounts:\n  ~/x: s3://bucket/x\nrun: echo'),
      /only local files and folders/,
    );
  });
});
