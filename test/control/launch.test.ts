import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  launch,
  nodesOf,
  openQueue,
  passedOverWords,
  staleMountsOf,
  staleWords,
  type Launched,
  type LaunchRequest,
  type Queue,
} from '../../src/control';
import type { JobRecord } from '../../src/queue';
import { EMPTY_TASK } from '../../src/task';
import { endOf, wholeLog } from '../support/queues';
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
    more: Partial<LaunchRequest> = {},
  ): Promise<Launched> =>
    launch(
      queue,
      {
        name,
        nodes: nodesOf(hosts),
        task: taskOf(yaml),
        file: path.join(home, 'cluster.yaml'),
        user: 'me',
        ...more,
      },
      { say: (words) => said.push(words), signal: new AbortController().signal },
    );
  const ended = (cluster: string, id: number): Promise<JobRecord> => endOf(queue, cluster, id);
  const log = (cluster: string, id: number): Promise<string> => wholeLog(queue, cluster, id);

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

  it('gives setup and task one SKYPILOT_TASK_ID, and a task that is run again another', async () => {
    const { setup, run } = await go(
      'one-id',
      ['big-1'],
      'setup: echo $SKYPILOT_TASK_ID\nrun: echo $SKYPILOT_TASK_ID\n',
    );
    assert.ok(setup && run);
    await ended('one-id', run.id);
    const again = await queue.runAgain('one-id', run.id, 'me');
    await ended('one-id', again.id);
    const [first, second, third] = await Promise.all([setup, run, again].map(({ id }) => log('one-id', id)));
    assert.match(first ?? '', /^sky-\S+_one-id_1\n$/);
    assert.equal(second, first);
    assert.match(third ?? '', /^sky-\S+_one-id_3\n$/);
    await queue.removeCluster('one-id');
  });

  it('takes num_nodes of them, in the order given, though all fit, and says that the others are not needed', async () => {
    const yaml = (nodes: number): string => `num_nodes: ${nodes}\nresources: {accelerators: V100}\nrun: echo`;
    const made = async (...args: Parameters<typeof go>): Promise<[string[], string[]]> => {
      const { run, passedOver } = await go(...args);
      if (run) assert.equal((await ended(args[0], run.id)).status, 'SUCCEEDED');
      const taken = queue.definition(args[0]).nodes.map((node) => node.name);
      return [taken, passedOverWords(passedOver)];
    };
    const hosts = ['big-2', 'small', 'big-1', 'big-3'];
    assert.deepEqual(await made('two', hosts, yaml(2)), [
      ['big-2', 'small'],
      ['passed over big-1, big-3: not needed (num_nodes is 2)'],
    ]);
    await assert.rejects(
      made('two', [], yaml(3)),
      /two needs 3 hosts that fit, and 2 of 2 did: .*\. More nodes are added by .*cq add-node two HOST$/,
    );
    // The agent's folder goes from nodes that were only looked at.
    const left = path.join(nodes.dir, 'big-3', 'home', '.cluster-queue');
    while (existsSync(left)) await new Promise((resolve) => setTimeout(resolve, 20));
    // The order is that of the last command, also where some of them were candidates before.
    await assert.rejects(
      made('order', ['small', 'big-1'], yaml(3)),
      /order needs 3 hosts that fit, and 2 of 2 did/,
    );
    const [taken] = await made('order', ['big-3', 'big-1', 'small'], yaml(1));
    assert.deepEqual(taken, ['big-3']);
    // Without a task there is no num_nodes.
    const [all, others] = await made('all', [...hosts, 'nowhere'], '', { task: EMPTY_TASK, all: true });
    assert.deepEqual(all, hosts);
    assert.match(others.join(), /^passed over nowhere: .*no host named nowhere/);
  });

  it('takes hosts that one and the same of the alternatives fits, the first of them where they are in order', async () => {
    const gpus = { name: 'NVIDIA A100-SXM4-40GB', count: 4, memoryMiB: 40960 };
    for (const name of ['a100-1', 'a100-2']) await nodes.add(name, { gpus });
    const hosts = ['big-1', 'a100-1', 'a100-2', 'big-2'];
    const taken = async (name: string, accelerators: string, numNodes = 2): Promise<string[]> => {
      await go(name, hosts, `num_nodes: ${numNodes}\nresources: {accelerators: ${accelerators}}\nrun: echo`);
      return queue.definition(name).nodes.map((node) => node.name);
    };
    assert.deepEqual(await taken('any', '{V100: 4, A100: 4}'), ['a100-1', 'a100-2']);
    assert.deepEqual(await taken('any-one', '{A100: 4, V100: 4}', 1), ['big-1']);
    assert.deepEqual(await taken('ordered', '[V100:4, A100:4]'), ['big-1', 'big-2']);
    await assert.rejects(
      taken('three', '{V100: 4, A100: 4}', 3),
      /three needs 3 hosts that fit, and 4 of 4 did, but not by one and the same of its resources: big-1: fits/,
    );
  });

  it('tells setup how many GPUs per node the task asks for, by the alternative that its hosts were chosen by', async () => {
    const told = async (name: string, hosts: readonly string[], accelerators: string): Promise<string> => {
      const { setup } = await go(
        name,
        hosts,
        `resources: {accelerators: ${accelerators}}\nsetup: echo "GPUs=$SKYPILOT_SETUP_NUM_GPUS_PER_NODE"\n`,
      );
      assert.ok(setup);
      await ended(name, setup.id);
      return (await log(name, setup.id)).trim();
    };
    assert.equal(await told('gpus', ['big-1'], 'V100:4'), 'GPUs=4');
    assert.equal(await told('gpus', [], 'V100:0.5'), 'GPUs=1');
    assert.equal(await told('gpus-other', ['small'], '[V100:4, V100:1]'), 'GPUs=1');
    assert.equal(await told('gpus-other', [], '[A100:8, V100:1]'), 'GPUs=1');
    assert.equal(await told('gpus-none', ['small'], 'null'), 'GPUs=0');
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
    const left = queue.view('broken')?.launch;
    assert.deepEqual([left?.name, left?.job, left?.file], ['setup', 1, path.join(home, 'cluster.yaml')]);
    assert.match(left?.message ?? '', /^job 1 is FAILED_SETUP: rank 1 \(big-3\) failed first/);
    // Run once more it fails again; the next launch starts afresh, and its setup succeeds.
    const again = await queue.runAgain('broken', setup.id, 'me');
    await ended('broken', again.id);
    assert.equal(queue.view('broken')?.launch?.job, again.id);
    const mended = await go('broken', [], 'num_nodes: 2\nsetup: echo\nrun: echo now\n');
    assert.ok(mended.run);
    assert.equal((await ended('broken', mended.run.id)).status, 'SUCCEEDED');
    assert.equal(queue.view('broken')?.launch, undefined);
  });

  it('leaves candidates that say so when too few hosts fit, and goes on with others, saying whom it passed over', async () => {
    const yaml = 'num_nodes: 2\nresources: {accelerators: "V100:4"}\nrun: echo made';
    const needs = /some needs 2 hosts that fit, and 1 of 2 did: small: .*4 × V100.*; big-1: fits/;
    await assert.rejects(go('some', ['small', 'big-1'], yaml), needs);
    const { name, message, file } = queue.view('some')?.launch ?? {};
    assert.deepEqual([name, file], ['connect', path.join(home, 'cluster.yaml')]);
    assert.match(message ?? '', needs);
    // Once more with what there is, and then with other hosts.
    await assert.rejects(go('some', [], yaml), needs);
    const { run, passedOver } = await go('some', ['big-1', 'small', 'big-3', 'nowhere'], yaml);
    assert.ok(run);
    assert.deepEqual(
      queue.definition('some').nodes.map((node) => node.name),
      ['big-1', 'big-3'],
    );
    assert.deepEqual(
      passedOver.map(({ node }) => node),
      ['small', 'nowhere'],
    );
    assert.match(passedOver.map(({ why }) => why).join('; '), /4 × V100.*no host named nowhere/);
    assert.equal(queue.view('some')?.launch, undefined);
    assert.equal((await ended('some', run.id)).status, 'SUCCEEDED');
  });

  it('connects again to a host that was away, and to nothing when it is cancelled meanwhile', async () => {
    const box = nodes.find('big-2');
    await box.stop();
    await assert.rejects(go('away', ['big-2'], 'run: echo'), /big-2.*(refused|closed)/);
    assert.match(queue.view('away')?.launch?.message ?? '', /big-2/);
    await box.start();
    const { run } = await go('away', [], 'run: echo');
    assert.ok(run);
    assert.equal((await ended('away', run.id)).status, 'SUCCEEDED');
    const abort = new AbortController();
    const cancelled = launch(
      queue,
      { name: 'never', nodes: nodesOf(['big-1']), task: taskOf('run: echo'), user: 'me' },
      { say: () => abort.abort(), signal: abort.signal },
    );
    await assert.rejects(cancelled, /the launch of never was cancelled/);
    assert.equal(queue.view('never'), undefined);
  });

  it('says which files could not be placed, and places only those when it is launched again', async () => {
    const files = path.join(home, 'files');
    mkdirSync(files, { recursive: true });
    writeFileSync(path.join(files, 'one'), 'first');
    writeFileSync(path.join(files, 'two'), 'second');
    const there = path.join(nodes.dir, 'big-2', 'home');
    writeFileSync(path.join(there, 'blocked'), 'a file where a folder is needed');
    const yaml =
      'num_nodes: 2\nfile_mounts:\n  ~/one: ./files/one\n  ~/blocked/two: ./files/two\nsetup: echo set up\nrun: cat ~/one ~/blocked/two';
    const hosts = ['big-1', 'big-2'];
    await assert.rejects(go('files', hosts, yaml), /blocked/);
    const failed = queue.view('files')?.launch;
    assert.equal(failed?.name, 'files');
    assert.match(failed.message ?? '', /blocked/);
    assert.deepEqual(queue.jobs('files'), []);
    // What a job changed meanwhile stays: this step is done.
    for (const node of hosts) writeFileSync(path.join(nodes.dir, node, 'home', 'one'), 'changed there ');
    rmSync(path.join(there, 'blocked'));
    rmSync(path.join(nodes.dir, 'big-1', 'home', 'blocked', 'two'));
    const { run } = await go('files', hosts, yaml);
    assert.ok(run);
    const record = await ended('files', run.id);
    // On big-1 it was placed before, and is not again.
    assert.equal(record.status, 'FAILED');
    const text = await log('files', run.id);
    assert.match(text, /rank 1, big-2\) changed there second/);
    assert.match(text, /rank 0, big-1\) changed there .*blocked\/two/s);
    assert.equal(queue.view('files')?.launch, undefined);
    // An ordinary launch on a cluster that is there places all of it again.
    const whole = await go('files', hosts, yaml);
    assert.equal((await ended('files', whole.run?.id ?? 0)).status, 'SUCCEEDED');
    assert.match(await log('files', whole.run?.id ?? 0), /rank 0, big-1\) firstsecond/);
  });

  it('knows for an exec which mounts have changed since, which were never placed, and on which nodes', async () => {
    const files = path.join(home, 'mounted');
    mkdirSync(files, { recursive: true });
    writeFileSync(path.join(files, 'a'), '1');
    const task = (mounts: string) => taskOf(`file_mounts:\n${mounts}run: echo`);
    const both = task('  ~/m: ./mounted\n  ~/n: ./mounted/a\n');
    const file = path.join(home, 'cluster.yaml');
    const stale = async (given = both): Promise<string> =>
      staleWords(await staleMountsOf(queue, 'mounted', given, { file }));
    const placed = { ...task('  ~/m: ./mounted\n'), numNodes: 2 };
    await launch(
      queue,
      { name: 'mounted', nodes: nodesOf(['big-1', 'big-3']), task: placed, file, user: 'me' },
      { say: () => undefined, signal: new AbortController().signal },
    );
    assert.equal(await stale(placed), '');
    assert.equal(await stale(), '~/n was never placed on big-1, big-3');
    writeFileSync(path.join(files, 'a'), '2');
    assert.equal(await stale(placed), '~/m has changed since it was placed');
    await queue.mount('mounted', { source: files, destination: '~/m' }, { missing: true });
    assert.equal(await stale(placed), '');
    assert.equal(readFileSync(path.join(nodes.dir, 'big-3', 'home', 'm', 'a'), 'utf8'), '2');
    // Touched, and written as it was.
    writeFileSync(path.join(files, 'a'), '2');
    assert.equal(await stale(placed), '');
    await queue.changeNodes('mounted', { add: nodesOf(['big-2']) });
    assert.equal(await stale(placed), '~/m was never placed on big-2');
    await queue.changeNodes('mounted', { remove: ['big-3'] });
    await queue.changeNodes('mounted', { add: nodesOf(['big-3']) });
    assert.equal(await stale(placed), '~/m was never placed on big-2, big-3');
    rmSync(files, { recursive: true });
    assert.equal(await stale(placed), '', 'what is gone cannot be placed');
    assert.equal(await stale(taskOf('file_mounts: {~/x: cos://r/b}\nrun: echo')), '');
  });

  it('has each node fetch buckets, repositories and web pages with a tool that it has', async () => {
    const tool = (name: string, body: string): void => {
      for (const node of ['big-1', 'big-2'])
        writeFileSync(
          path.join(nodes.dir, node, 'bin', name),
          `#!/bin/sh\necho "${name} $*" >>~/calls\n${body}\n`,
          {
            mode: 0o755,
          },
        );
    };
    const last = 'for to; do :; done';
    tool(
      'aws',
      `${last}\ncase "$*" in "s3 ls s3://b/set/") echo PRE;; *sync*) echo rows >"$to/set";; *cp*) echo one >"$to";; esac`,
    );
    tool('gcloud', `${last}\ncase "$*" in *rsync*) echo gs >"$to/g";; esac`);
    tool('hf', `${last}\nmkdir -p "$to/part" && echo "it's" >"$to/part/x"`);
    tool('curl', 'while [ "$1" != -o ]; do shift; done; echo web >"$2"');
    const { run } = await go(
      'mycluster',
      [],
      `file_mounts:
  ~/m/set: s3://b/set
  ~/m/o'ne.txt: {source: "s3://b/o'ne.txt", mode: copy}
  ~/m/gs: gs://g
  ~/m/hf: hf://datasets/me/mine@v1/part
  ~/m/web/page: https://example.com/page?a=1&b=2
num_nodes: 2
run: cd ~/m; cat set/set o\\'ne.txt gs/g hf/x web/page | tr '\\n' ' '; ls -A . hf web
`,
    );
    assert.ok(run);
    const record = await ended('mycluster', run.id);
    const text = await log('mycluster', run.id);
    assert.equal(record.status, 'SUCCEEDED', text);
    assert.match(text, /rank 0, big-1\) rows one gs it's web/);
    assert.match(text, /rank 1, big-2\) rows one gs it's web/);
    assert.ok(!text.includes('cq-part'), text);
    const calls = readFileSync(path.join(nodes.dir, 'big-1', 'home', 'calls'), 'utf8');
    const home1 = path.join(nodes.dir, 'big-1', 'home');
    for (const call of [
      `aws s3 sync --no-progress s3://b/set ${home1}/m/set`,
      `aws s3 cp s3://b/o'ne.txt ${home1}/m/o'ne.txt`,
      `gcloud storage rsync --recursive gs://g ${home1}/m/gs`,
      `hf download me/mine --repo-type dataset --revision v1 --include part* --local-dir ${home1}/m/hf.cq-part`,
      `curl -fsSL --retry 3 -o ${home1}/m/web/page.cq-part https://example.com/page?a=1&b=2`,
    ])
      assert.ok(calls.split('\n').includes(call), `${call}\nis not among\n${calls}`);
  });

  it('says in the words of the tool, with the node, why a source was not fetched', async () => {
    writeFileSync(path.join(nodes.dir, 'big-2', 'bin', 'aws'), '#!/bin/sh\necho "no such key" >&2; exit 3\n');
    await assert.rejects(
      go('mycluster', [], 'file_mounts:\n  ~/x: s3://bucket/x\nrun: echo'),
      /file_mounts ~\/x: big-2 could not fetch s3:\/\/bucket\/x: no such key/,
    );
  });

  it('names the node and what to install there when it has no tool for a source', async function () {
    // Where this machine has one, its nodes have it too.
    if (spawnSync('sh', ['-c', 'command -v hf || command -v huggingface-cli']).status === 0) this.skip();
    rmSync(path.join(nodes.dir, 'big-2', 'bin', 'hf'));
    await assert.rejects(
      go('mycluster', [], 'file_mounts:\n  ~/y: hf://me/model\nrun: echo'),
      /big-2 could not fetch hf:\/\/me\/model: it has neither hf nor huggingface-cli\. Install one there \(pip/,
    );
  });

  it('refuses a mount that can only be mounted, or not fetched at all', async () => {
    await assert.rejects(
      go('mycluster', [], 'file_mounts:\n  ~/x: {source: s3://bucket/x}\nrun: echo'),
      /copied to your nodes, not mounted; write `mode: COPY`/,
    );
    await assert.rejects(
      go('mycluster', [], 'file_mounts:\n  ~/x: cos://region/bucket\nrun: echo'),
      /but not cos:\/\/region\/bucket; fetch it in setup/,
    );
  });
});
