import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

interface Job {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  readonly nodes: { readonly node: string; readonly devices: number[] }[];
  readonly held: boolean;
  readonly after: number[];
  readonly reason: string | null;
  readonly place: number | null;
  readonly startedAt: string | null;
  readonly exitCodes: (number | null)[] | null;
}

const FILE = `
name: huggingface
resources:
  accelerators: V100:4
run: |
  echo "devices=$CUDA_VISIBLE_DEVICES"
  while [ ! -e "$HOME/end-$SKYPILOT_INTERNAL_JOB_ID" ]; do sleep 0.05; done
`;

describe('cq, on a real sshd node of 4 × V100', function () {
  if (!haveSshd) return;
  this.timeout(120_000);
  const nodes = new TestNodes();
  const cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile });
  const engine = { stop: (): Promise<unknown> => Promise.resolve() };
  let home = '';
  before(async () => {
    ({ home } = await nodes.add('node-a', {
      gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 },
    }));
    const running = cq.start('engine');
    await running.said(/this process has the queue/);
    engine.stop = () => running.stop('SIGINT');
  });
  after(async () => {
    await engine.stop();
    await cq.close();
    await nodes.close();
  });

  const jobs = async (cluster: string): Promise<Job[]> => {
    const { stdout } = await cq.run('queue', cluster, '--json');
    return (JSON.parse(stdout) as Record<string, Job[]>)[cluster] ?? [];
  };
  const statuses = async (): Promise<string[]> =>
    (await jobs('mycluster')).map(({ status }) => status).reverse();
  const until = async (wanted: readonly string[]): Promise<void> => {
    const watch = cq.start('queue', 'mycluster', '--json', '--watch');
    const inOrder = [...wanted].reverse().map((status) => `"status":"${status}"[^}]*}[^}]*`);
    await watch.said(new RegExp(inOrder.join('[^\\n]*')));
    assert.equal((await watch.stop('SIGINT')).code, 0);
    assert.deepEqual(await statuses(), wanted);
  };

  it('checks and launches the hosts of a node pool, and the same command once more', async () => {
    const pools = path.join(cq.dir, 'ssh_node_pools.yaml');
    writeFileSync(pools, 'lab:\n  hosts: [nowhere.invalid, {ip: node-a, devices: [2, 1]}]\nnew:\n  hosts:\n');
    cq.env.CLUSTER_QUEUE_NODE_POOLS = pools;
    const check = await cq.run('check', '--pool', 'lab');
    assert.equal(check.code, 1);
    assert.match(check.stdout, /^ok {2}node-a: 4 × V100/m);
    assert.match(check.stdout, /^no {2}nowhere.invalid: there is no host named/m);
    assert.match(check.stderr, /^\S+ssh_node_pools\.yaml:4: The pool new has no hosts: .*mended: new\)$/m);
    const command = [
      'launch',
      '-c',
      'pooled',
      '--pool',
      'lab',
      '--gpus',
      'V100:1',
      '--',
      'echo $CUDA_VISIBLE_DEVICES',
    ];
    for (let i = 0; i < 2; i++) {
      const { code, stdout, stderr } = await cq.run(...command);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^2$/m);
    }
    assert.match(
      (await cq.run('launch', '-c', 'x', '--pool', 'lap')).stderr,
      /no node pool lap in .*known: lab/,
    );
    assert.match(
      (await cq.run('check', '--pool', 'new')).stderr,
      /^cq: \S+ssh_node_pools\.yaml:4: The pool new has no hosts/,
    );
    assert.equal((await cq.run('down', 'pooled', '-y')).code, 0);
  });

  it('launches the hosts of the pool that infra names, and says when a cluster is of others', async () => {
    const task = path.join(cq.dir, 'infra.yaml');
    writeFileSync(task, 'resources: {infra: ssh/lab, accelerators: V100:1}\nrun: echo on $HOSTNAME\n');
    const launched = await cq.run('launch', '-c', 'by-infra', task);
    assert.equal(launched.code, 0, launched.stderr);
    assert.match(launched.stderr, /^passed over nowhere\.invalid: /m);
    const again = await cq.run('launch', '-c', 'by-infra', task);
    assert.equal(again.code, 0, again.stderr);
    assert.doesNotMatch(again.stderr, /infra says/);
    assert.equal((await cq.run('down', 'by-infra', '-y')).code, 0);
    // What is said explicitly goes first; a machine of the pool is that by whatever way it was named.
    assert.equal((await cq.run('launch', '-c', 'by-hosts', '--hosts', 'node-a', task)).code, 0);
    assert.doesNotMatch((await cq.run('launch', '-c', 'by-hosts', task)).stderr, /infra says/);
    assert.equal((await cq.run('down', 'by-hosts', '-y')).code, 0);
    const here = await cq.run('launch', '-c', 'local', '--infra', 'ssh/lab', '--', 'true');
    assert.equal(here.code, 0, here.stderr);
    assert.match(
      here.stderr,
      /^infra says ssh\/lab, and \S+ of local is not of that: local is used as it is$/m,
    );
    const unknown = await cq.run('launch', '-c', 'x', '--infra', 'ssh/lap', '--', 'true');
    assert.match(unknown.stderr, /no node pool lap in .*known: lab/);
    const cloud = await cq.run('launch', '-c', 'x', '--infra', 'aws/us-east-1', '--', 'true');
    assert.equal(cloud.code, 2);
    assert.match(cloud.stderr, /--infra aws\/us-east-1: your machines are ssh\/POOL/);
  });

  it('goes through the worked example: job5 passes job4, and every job has its own devices', async () => {
    const file = path.join(cq.dir, 'huggingface.yaml');
    writeFileSync(file, FILE);
    const end = (id: number): void => writeFileSync(path.join(home, `end-${id}`), '');
    const launched = await cq.run('launch', '-c', 'mycluster', '--hosts', 'node-a', file, '-d');
    assert.equal(launched.code, 0, launched.stderr);
    assert.match(launched.stderr, /node-a: 4 × V100[^]*job 1 queued on mycluster/);
    for (const [name, gpus] of [
      ['job2', 'V100:1'],
      ['job3', 'V100:1'],
      ['job4', 'V100:4'],
      ['job5', 'V100:2'],
    ] as const) {
      const { code, stderr } = await cq.run('exec', 'mycluster', file, '-d', '-n', name, '--gpus', gpus);
      assert.equal(code, 0, stderr);
    }
    await until(['RUNNING', 'PENDING', 'PENDING', 'PENDING', 'PENDING']);
    const fourth = (await jobs('mycluster')).find(({ id }) => id === 4);
    assert.match(fourth?.reason ?? '', /waiting for 4 × V100 on 1 node: 0 free \(job 1 has 4\)/);
    assert.equal(fourth?.place, 3);

    end(1);
    await until(['SUCCEEDED', 'RUNNING', 'RUNNING', 'PENDING', 'RUNNING']);
    const table = (await cq.run('queue', 'mycluster')).stdout.split('\n').map((line) => line.split(/ {2,}/));
    assert.deepEqual(table[0], ['ID', 'NAME', 'USER', 'SUBMITTED', 'STARTED', 'STATUS']);
    assert.deepEqual(
      table.slice(1, 6).map(([id, name, , , started, status]) => [id, name, started === '-', status]),
      [
        ['5', 'job5', false, 'RUNNING'],
        ['4', 'job4', true, 'PENDING'],
        ['3', 'job3', false, 'RUNNING'],
        ['2', 'job2', false, 'RUNNING'],
        ['1', 'huggingface', false, 'SUCCEEDED'],
      ],
    );
    const wide = (await cq.run('queue', 'mycluster', '--wide', '--skip-finished')).stdout;
    assert.match(
      wide,
      /^ID +NAME .* DURATION +RESOURCES +NODES +REASON\n5 +job5 .*1x\[V100:2\] +node-a\[\d,\d\]/,
    );
    assert.match(wide, /^4 +job4 .* waiting for 4 × V100/m);
    assert.doesNotMatch(wide, /huggingface/);

    const following = cq.start('logs', 'mycluster', '4');
    for (const id of [2, 3, 5]) end(id);
    await until(['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'RUNNING', 'SUCCEEDED']);
    assert.deepEqual((await cq.run('logs', 'mycluster', '4', '--status')).stdout, 'Job 4: RUNNING\n');
    end(4);
    const followed = await following.end;
    assert.equal(followed.code, 0);
    assert.equal(followed.stdout, 'devices=0,1,2,3\n');
    assert.match(followed.stderr, /job 4 SUCCEEDED after/);
    const seen = await Promise.all(
      [1, 2, 3, 5].map(async (id) => {
        const { code, stdout } = await cq.run('logs', 'mycluster', String(id), '--no-follow');
        assert.equal(code, 0);
        return /^devices=([\d,]+)\n$/.exec(stdout)?.[1]?.split(',') ?? [];
      }),
    );
    assert.deepEqual(seen[0], ['0', '1', '2', '3']);
    assert.deepEqual(seen.slice(1).flat().sort(), ['0', '1', '2', '3']);
  });

  it('streams stdout and ends with the code of the job', async () => {
    const good = await cq.run('exec', 'mycluster', '--env', 'WHO=me', '--', 'echo "hi $WHO"; echo err >&2');
    assert.deepEqual([good.code, good.stdout], [0, 'hi me\nerr\n']);
    const failed = await cq.run('exec', 'mycluster', '--', 'exit 7');
    assert.equal(failed.code, 100);
    assert.match(failed.stderr, /FAILED.*: exit code 7/);
    const json = await cq.run('exec', 'mycluster', '--json', '--', 'echo hidden; exit 7');
    assert.equal(json.code, 100);
    const job = JSON.parse(json.stdout) as Job;
    assert.deepEqual([job.status, job.exitCodes], ['FAILED', [7]]);
    assert.equal((await cq.run('logs', 'mycluster', '--status')).code, 100);
    assert.equal((await cq.run('logs', 'mycluster', '999')).code, 102);
  });

  it('takes values from an env file, and keeps secrets secret', async () => {
    const env = path.join(cq.dir, 'values.env');
    writeFileSync(env, 'LR="0.1"\nTOKEN=s3cret\n');
    const file = path.join(cq.dir, 'values.yaml');
    writeFileSync(file, 'envs:\n  LR:\nsecrets:\n  TOKEN:\nrun: echo "$LR ${#TOKEN}"\n');
    const { code, stdout, stderr } = await cq.run('exec', 'mycluster', file, '--env-file', env);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '0.1 6\n');
    assert.doesNotMatch((await cq.run('queue', 'mycluster', '--json')).stdout, /s3cret/);
  });

  it('takes the paths of a file from here, else from beside it, with its variables filled in', async () => {
    const sub = path.join(cq.dir, 'sub');
    for (const [folder, says] of [
      [path.join(cq.dir, 'code-1'), 'here'],
      [path.join(sub, 'code-1'), 'beside'],
      [path.join(sub, 'code-2'), 'only beside'],
    ] as const) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(path.join(folder, 'says'), says);
    }
    const file = path.join(sub, 'paths.yaml');
    writeFileSync(file, 'envs: {N: 1}\nworkdir: ./code-${N}\nrun: cat says\n');
    const exec = (...more: string[]) => cq.run('exec', 'mycluster', file, ...more);
    assert.equal((await exec()).stdout, 'here');
    assert.equal((await exec('--env', 'N=2')).stdout, 'only beside');
    const nowhere = await exec('--env', 'N=3');
    assert.equal(nowhere.code, 1);
    assert.match(
      nowhere.stderr,
      /workdir \.\/code-3 does not exist: it was looked for as \S+code-3 and as \S+sub\/code-3/,
    );
  });

  it('says once what of a workdir is not sent as it is', async () => {
    const folder = path.join(cq.dir, 'lacking');
    mkdirSync(folder);
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    symlinkSync('/nowhere/data', path.join(folder, 'data'));
    const file = path.join(cq.dir, 'lacking.yaml');
    writeFileSync(file, 'workdir: lacking\nsetup: "true"\nrun: ls\n');
    const said = /^workdir \S+lacking: left out, .*: pipe$/gm;
    for (const command of [
      ['exec', 'mycluster', file],
      ['launch', '-c', 'mycluster', file],
      ['exec', 'mycluster', '--repeat', '2', file],
    ]) {
      const { code, stdout, stderr } = await cq.run(...command);
      assert.equal(code, 0, stderr);
      assert.equal(stderr.match(said)?.length, 1, stderr);
      assert.match(stdout, /^(data\n|jobs )/);
    }
  });

  it('is left by Ctrl-C while the job goes on, and says how to come back', async () => {
    const running = cq.start('exec', 'mycluster', '--', 'echo began; sleep 60');
    await running.said(/began/);
    const left = await running.stop('SIGINT');
    assert.equal(left.code, 101);
    const [, id = ''] =
      /job (\d+) goes on\. Its log: cq logs mycluster \1 · to end it: cq cancel mycluster \1/.exec(
        left.stderr,
      ) ?? [];
    assert.notEqual(id, '');
    const shown = await cq.run('logs', 'mycluster', id, '--no-follow');
    assert.deepEqual([shown.code, shown.stdout], [101, 'began\n']);
    const refused = await cq.run('cancel', 'mycluster', '--all');
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /say -y/);
    const cancelled = await cq.run('cancel', 'mycluster', id);
    assert.deepEqual([cancelled.code, cancelled.stdout], [0, `cancelled on mycluster: job ${id}\n`]);
    assert.equal((await cq.run('logs', 'mycluster', id)).code, 103);
  });

  it('prints the last lines only, and copies a whole log', async () => {
    await cq.run('exec', 'mycluster', '--', 'seq 1 1000');
    const tail = await cq.run('logs', 'mycluster', '--tail', '2');
    assert.deepEqual([tail.code, tail.stdout], [0, '999\n1000\n']);
    const synced = await cq.run('logs', 'mycluster', '--sync-down', path.join(cq.dir, 'down'));
    assert.equal(synced.code, 0);
    assert.match(readFileSync(synced.stdout.trim(), 'utf8'), /^1\n2\n[^]*\n1000\n$/);
  });

  it('holds, releases and moves jobs, and starts one after another', async () => {
    const blocker = cq.start('exec', 'mycluster', '--gpus', 'V100:4', '--', 'echo began; sleep 60');
    await blocker.said(/began/);
    const queued = async (...options: string[]): Promise<string> => {
      const { stdout } = await cq.run('exec', 'mycluster', '-d', '--json', ...options, '--', 'true');
      return String((JSON.parse(stdout) as Job).id);
    };
    const [a, b] = [await queued('--gpus', 'V100:4'), await queued('--gpus', 'V100:4')];
    const done = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cq.run(...words);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.equal(await done('move', 'mycluster', b, '--first'), `moved on mycluster: job ${b}\n`);
    assert.equal(await done('hold', 'mycluster', a), `held on mycluster: job ${a}\n`);
    const job = async (id: string): Promise<Job | undefined> =>
      (await jobs('mycluster')).find((one) => String(one.id) === id);
    assert.equal((await job(b))?.place, 1);
    assert.match((await job(a))?.reason ?? '', /held/);
    const c = await queued('--after', b);
    assert.deepEqual([(await job(a))?.held, (await job(b))?.held], [true, false]);
    assert.deepEqual([(await job(b))?.after, (await job(c))?.after], [[], [Number(b)]]);
    await cq.run('cancel', 'mycluster', String(Number(a) - 1));
    assert.equal((await cq.run('logs', 'mycluster', c)).code, 0);
    assert.equal((await job(a))?.status, 'PENDING');
    assert.equal(await done('release', 'mycluster', a), `released on mycluster: job ${a}\n`);
    assert.equal((await cq.run('logs', 'mycluster', a)).code, 0);
    await blocker.end;
  });

  it('tells what machines have, and which cannot be used', async () => {
    const status = await cq.run('status');
    assert.match(
      status.stdout,
      /^NAME +UP +GPUS +RUNNING +WAITING\n[^]*^mycluster +1\/1 +4\/4 V100[^ ]* free +0 +0$/m,
    );
    const { clusters } = JSON.parse((await cq.run('status', '--json')).stdout) as {
      clusters: { name: string; nodes: { state: string; devices: unknown[] }[] }[];
    };
    const mine = clusters.find(({ name }) => name === 'mycluster');
    assert.deepEqual([mine?.nodes[0]?.state, mine?.nodes[0]?.devices.length], ['up', 4]);
    const check = await cq.run('check');
    assert.equal(check.code, 0, check.stdout);
    assert.match(check.stdout, /^ok {2}node-a: 4 × V100/);
    nodes.configure('Host nowhere\n  HostName 127.0.0.1\n  Port 1');
    const bad = await cq.run('check', 'node-a', 'nowhere');
    assert.equal(bad.code, 1);
    assert.match(bad.stdout, /^no {2}nowhere: .*refused the connection/m);
  });

  it('says of nodes that are added and not reached that they were added, and why', async () => {
    const connections: Socket[] = [];
    const silent = createServer((connection) => connections.push(connection));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const added = await cq.run('add-node', 'mycluster', 'nowhere.invalid', `127.0.0.1:${port}`);
    silent.close();
    for (const connection of connections) connection.destroy();
    assert.deepEqual([added.code, added.stdout], [0, ''], added.stderr);
    assert.match(
      added.stderr,
      /^nowhere\.invalid was added, and cannot be used yet: there is no host named nowhere\.invalid/m,
    );
    assert.match(added.stderr, /^127\.0\.0\.1 was added, and has not answered yet: it is used as soon as/m);
    const gone = await cq.run('remove-node', 'mycluster', 'nowhere.invalid', '127.0.0.1');
    assert.equal(gone.code, 0, gone.stderr);
  });

  it('takes a cluster down with its jobs', async () => {
    const running = cq.start('exec', 'mycluster', '--', 'echo began; sleep 60');
    await running.said(/began/);
    const down = await cq.run('down', 'mycluster', '-y');
    assert.deepEqual([down.code, down.stdout], [0, 'cluster mycluster was taken down\n']);
    assert.equal((await running.end).code, 103);
    assert.equal((await cq.run('queue', 'mycluster')).code, 1);
  });
});

describe('cq without any other process', function () {
  this.timeout(60_000);
  const cq = new Cq();
  after(() => cq.close());

  it('starts a job before it goes, and the next one tells how it ended', async () => {
    // The second time it gets GPUs.
    for (const virtual of [[], ['--virtual', 'V100:2']]) {
      const launched = await cq.run('launch', '-c', 'here', '--local', ...virtual);
      assert.equal(launched.code, 0, launched.stderr);
    }
    const [go, mark] = [path.join(cq.dir, 'go'), path.join(cq.dir, 'ran')];
    const { code, stderr } = await cq.run(
      'exec',
      'here',
      '-d',
      '--gpus',
      'V100:2',
      '--',
      `while [ ! -e ${go} ]; do sleep 0.05; done; touch ${mark}; exit 5`,
    );
    assert.equal(code, 0, stderr);
    const waits = await cq.run('exec', 'here', '-d', '--gpus', 'V100:2', '--', 'true');
    assert.match(waits.stderr, /job 2: waiting for 2 × V100.*; staged on .*, 1st\. It starts by itself/);
    const later = await cq.run('exec', 'here', '-d', '--after', '2', '--', 'true');
    assert.match(later.stderr, /job 3: starts when job 2 has succeeded; staged on .*\. It starts by itself/);
    writeFileSync(go, '');
    while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 50));
    const logs = await cq.run('logs', 'here', '1');
    assert.equal(logs.code, 100, logs.stderr);
    assert.match(logs.stderr, /job 1 FAILED.*: exit code 5/);
    assert.equal((await cq.run('logs', 'here', '2')).code, 0);
  });

  it('ends a job whole before it goes', async () => {
    await cq.run('exec', 'here', '-d', '--', 'sleep 300');
    const cancelled = await cq.run('cancel', 'here', '--all', '-y');
    assert.equal(cancelled.code, 0, cancelled.stderr);
    assert.equal((await cq.run('logs', 'here', '--status')).stdout, 'Job 4: CANCELLED\n');
  });

  it('has held jobs, and those of a drained node, stay where they are when it goes', async () => {
    const [go, ran] = [path.join(cq.dir, 'go-on'), path.join(cq.dir, 'ran-on')];
    const both = ['exec', 'here', '-d', '--gpus', 'V100:2', '--'];
    const { clusters } = JSON.parse((await cq.run('status', '--json')).stdout) as {
      clusters: { name: string; nodes: { name: string }[] }[];
    };
    const node = clusters.find(({ name }) => name === 'here')?.nodes[0]?.name ?? '';
    for (const [keep, done, undo] of [
      [['hold', 'here', '6'], 'held on here: job 6\n', ['release', 'here', '6']],
      [
        ['drain', 'here', node],
        `draining on here, where nothing new starts: ${node}\n`,
        ['undrain', 'here', node],
      ],
    ] as const) {
      await cq.run(...both, `until [ -e ${go} ]; do sleep 0.05; done; mv ${go} ${go}.seen`);
      const next = await cq.run(...both, `touch ${ran}`);
      assert.match(next.stderr, /staged on .*\. It starts by itself/);
      const kept = await cq.run(...keep);
      assert.deepEqual([kept.code, kept.stdout], [0, done], kept.stderr);
      writeFileSync(go, '');
      while (!existsSync(`${go}.seen`)) await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assert.equal(existsSync(ran), false);
      assert.equal((await cq.run(...undo)).code, 0);
      assert.equal((await cq.run('logs', 'here')).code, 0);
      rmSync(ran);
      rmSync(`${go}.seen`);
    }
    const half = await cq.run('hold', 'here', '8', '9999');
    assert.deepEqual([half.code, half.stdout], [1, '']);
  });

  it('takes words after -- as words', async () => {
    await cq.run('exec', 'here', '-d', '--', 'sleep 300');
    const other = await cq.run('exec', 'here', '-d', '--', 'sleep 300');
    assert.equal(other.code, 0);
    const cancelled = await cq.run('cancel', 'here', '-y', '--', '9');
    assert.match(cancelled.stdout, /^cancelled on here: job 9\n/);
    assert.equal((await cq.run('cancel', 'here', '-y', '10')).code, 0);
    assert.match((await cq.run('queue', '--', 'nowhere')).stderr, /there is no cluster nowhere/);
    assert.match((await cq.run('validate', '--', '-no.yaml')).stderr, /-no\.yaml/);
  });

  it('is handed over between its processes, and every follower gets the whole log', async () => {
    const first = cq.start('exec', 'here', '--', 'for i in $(seq 1 60); do echo "line $i"; sleep 0.03; done');
    await first.said(/line 5\n/);
    const second = cq.start('logs', 'here');
    await second.said(/line 1\n/);
    await first.stop('SIGKILL');
    const { code, stdout } = await second.end;
    assert.equal(code, 0);
    assert.equal(stdout, Array.from({ length: 60 }, (_, i) => `line ${i + 1}\n`).join(''));
  });
});

describe('cq with limits', function () {
  this.timeout(60_000);
  const cq = new Cq({ CLUSTER_QUEUE_RETRY_PAUSE: '1' });
  after(() => cq.close());

  it('ends what takes too long, tries again what fails, and shows both', async () => {
    const late = await cq.run('exec', 'local', '--timeout', '1s', '--', 'sleep 300');
    assert.equal(late.code, 100);
    assert.match(late.stderr, /job 1 FAILED after (< )?\ds: ended after its time limit of 1s/);
    const tried = await cq.run('exec', 'local', '--retries', '3', '--', '[ $CLUSTER_QUEUE_TRY = 2 ]');
    assert.equal(tried.code, 0, tried.stderr);
    assert.equal(tried.stdout, '[cluster-queue] exit code 1; try 2 of 4 in 1 s\n');
    const { stdout } = await cq.run('queue', 'local', '--wide');
    assert.match(stdout, / DURATION +TRY +LIMIT +RESOURCES +NODES +REASON\n2 .* 2\/4 +- .*\n1 .* - +1s /);
    const jobs = (JSON.parse((await cq.run('queue', '--json')).stdout) as Record<string, object[]>).local;
    assert.deepEqual(
      jobs?.map((job) => {
        const { timeoutSeconds, retries, tries } = job as Record<string, unknown>;
        return [timeoutSeconds, retries, tries];
      }),
      [
        [null, 3, 2],
        [1, 0, 1],
      ],
    );
  });
});

describe('cq with sweeps', function () {
  this.timeout(60_000);
  const cq = new Cq();
  const engine = { stop: (): Promise<unknown> => Promise.resolve() };
  before(async () => {
    const running = cq.start('engine');
    await running.said(/this process has the queue/);
    engine.stop = () => running.stop('SIGINT');
    const launched = await cq.run('launch', '-c', 'here', '--local', '--virtual', 'V100:2');
    assert.equal(launched.code, 0, launched.stderr);
  });
  after(async () => {
    await engine.stop();
    await cq.close();
  });

  const jobs = async (): Promise<Record<string, unknown>[]> => {
    const { stdout } = await cq.run('queue', 'here', '--json');
    return (JSON.parse(stdout) as Record<string, Record<string, unknown>[]>).here?.reverse() ?? [];
  };

  it('makes a job of every combination, each with its own values and name', async () => {
    const file = path.join(cq.dir, 'train.yaml');
    for (const seed of ['1', '2']) {
      mkdirSync(path.join(cq.dir, `part-${seed}`));
      writeFileSync(path.join(cq.dir, `part-${seed}`, 'of'), seed);
    }
    writeFileSync(
      file,
      'name: train\nworkdir: part-$seed\nenvs:\n  lr:\n  seed: 0\nrun: echo "$lr $seed $CLUSTER_QUEUE_INDEX/$CLUSTER_QUEUE_COUNT $(cat of)"\n',
    );
    const swept = await cq.run('exec', 'here', file, '--sweep', 'lr=1e-3,1e-4', '--sweep', 'seed=1..2');
    assert.deepEqual([swept.code, swept.stdout], [0, 'jobs 1 to 4\n'], swept.stderr);
    assert.match(
      swept.stderr,
      /4 jobs queued on here as group 1; a group is not followed[^]*cq cancel here --group 1/,
    );
    const all = await jobs();
    assert.deepEqual(
      all.map(({ name, group }) => [name, group]),
      ['train-lr1e-3-seed1', 'train-lr1e-3-seed2', 'train-lr1e-4-seed1', 'train-lr1e-4-seed2'].map((name) => [
        name,
        { id: 1, name: 'train', size: 4 },
      ]),
    );
    assert.equal((await cq.run('logs', 'here', '3')).stdout, '1e-4 1 3/4 1\n');
    assert.equal((await cq.run('logs', 'here', '4')).stdout, '1e-4 2 4/4 2\n');
  });

  it('holds, releases and cancels a group whole, and nothing else', async () => {
    const other = await cq.run('exec', 'here', '-d', '--json', '--', 'sleep 300');
    assert.equal(other.code, 0);
    const many = await cq.run(
      'exec',
      'here',
      '-d',
      '--repeat',
      '5',
      '--gpus',
      'V100:1',
      '-n',
      'x',
      '--',
      'sleep 300',
    );
    assert.equal(many.stdout, 'jobs 6 to 10\n');
    const statuses = async (): Promise<unknown[]> => (await jobs()).slice(4).map(({ status }) => status);
    const held = await cq.run('hold', 'here', '--group', '8');
    assert.equal(held.stdout, 'held on here: the group of job 8, as far as it waits\n', held.stderr);
    const reasons = (await jobs()).flatMap(({ reason }) => (typeof reason === 'string' ? [reason] : []));
    assert.equal(reasons.filter((reason) => reason.includes('held')).length, 3);
    assert.equal((await cq.run('release', 'here', '--group', '6')).code, 0);
    const cancelled = await cq.run('cancel', 'here', '--group', '7');
    assert.match(cancelled.stdout, /cancelled on here: job 6, job 7, job 8, job 9, job 10/);
    for (const id of ['6', '10']) assert.equal((await cq.run('logs', 'here', id)).code, 103);
    assert.equal((await statuses())[0], 'RUNNING');
    assert.match(
      (await cq.run('cancel', 'here', '--group', '5')).stderr,
      /job 5 of here is not one of several/,
    );
    assert.equal((await cq.run('cancel', 'here', '5')).code, 0);
  });

  it('is refused whole when it can never run', async () => {
    const before = (await jobs()).length;
    const refused = await cq.run('exec', 'here', '--repeat', '3', '--gpus', 'V100:4', '--', 'true');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /here can never run this/);
    assert.equal((await jobs()).length, before);
  });
});
