import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

/** Pids of processes whose command line holds the text. */
function alive(text: string): string[] {
  try {
    return execFileSync('pgrep', ['-f', text], { encoding: 'utf8' }).trim().split('\n');
  } catch {
    return [];
  }
}

describe('a job on a real sshd node', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let home = '';
  before(async () => {
    home = (
      await world.nodes.add('node-a', {
        gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 },
        tools: { docker: 'for a; do printf "<%s>" "$a"; done; echo' },
      })
    ).home;
    await world.nodes.add('node-b', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 } });
    await world.open();
    await world.cluster('c', ['node-a']);
    await world.cluster('two', ['node-a', 'node-b']);
  });
  after(() => world.close());

  it('keeps the exit code, stderr among stdout, and the words of a failing command', async () => {
    const { id } = await world.submit(
      'c',
      'run: |\n  echo out\n  echo err >&2\n  no-such-command\n  exit 7\n',
    );
    const record = await world.ended('c', id);
    assert.equal(record.status, 'FAILED');
    assert.deepEqual(record.exitCodes, [7]);
    const log = await world.log('c', id);
    assert.match(log, /^out\nerr\nrun: no-such-command: command not found\n/);
    assert.doesNotMatch(log, /terminal process group|no job control/);
  });

  it('has the envs with every character, and secrets that are not in the store or on a command line', async () => {
    const awkward = `it's "$HOME" \`x\` \\ ünï\nsecond line`;
    const yaml = `envs:\n  TEXT: ${JSON.stringify(awkward)}\nsecrets:\n  TOKEN: s3cr3t-value\nrun: |\n  printf '%s|' "$TEXT"\n  echo "\${#TOKEN}"\n`;
    const { id } = await world.submit('c', yaml);
    await world.ended('c', id);
    assert.equal(await world.log('c', id), `${awkward}|12\n`);
    const stored = execFileSync('sh', ['-c', `grep -rl s3cr3t-value ${world.home} ${home} || true`], {
      encoding: 'utf8',
    });
    assert.equal(stored, '');
  });

  it('reads ~/.bashrc, and says so when that ends the shell', async () => {
    writeFileSync(path.join(home, '.bashrc'), 'echo noise\nexport FROM_RC=yes\n');
    const first = await world.submit('c', 'run: echo "rc=$FROM_RC"');
    await world.ended('c', first.id);
    assert.equal(await world.log('c', first.id), 'rc=yes\n');
    writeFileSync(path.join(home, '.bashrc'), 'echo gone; exit 5\n');
    const second = await world.submit('c', 'run: echo never');
    const record = await world.ended('c', second.id);
    // As people do who have zsh without chsh: it ends well, and has run nothing of the task.
    writeFileSync(path.join(home, '.bashrc'), 'case $- in *i*) exec true ;; esac');
    const third = await world.submit('c', 'run: echo never');
    const gone = await world.ended('c', third.id);
    writeFileSync(path.join(home, '.bashrc'), '');
    assert.deepEqual([gone.status, gone.exitCodes], ['FAILED', [1]]);
    assert.equal(record.status, 'FAILED');
    assert.match(record.message ?? '', /\.bashrc on node-a ended the shell/);
    assert.match(await world.log('c', second.id), /ended the shell \(exit code 5\)[^]*gone/);
  });

  it('is cancelled with all that it started, however it hides', async () => {
    const mark = `cqmark${process.pid}`;
    const { id } = await world.submit(
      'c',
      `run: |
  setsid bash -c 'trap "" TERM; exec -a ${mark}1 sleep 300' &
  nohup bash -c 'exec -a ${mark}2 sleep 300' >/dev/null 2>&1 &
  ( ( trap "" TERM; env -i bash -c 'exec -a ${mark}3 sleep 300' ) & )
  bash -c 'trap "" TERM; exec -a ${mark}4 sleep 300'
  echo survived
`,
    );
    await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
    for (let i = 0; i < 100 && alive(mark).length < 4; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    void world.engine.cancel('c', [id]);
    const record = await world.ended('c', id);
    assert.equal(record.status, 'CANCELLED');
    assert.deepEqual(alive(`${mark}[0-9] 300`), []);
    assert.doesNotMatch(await world.log('c', id), /survived/);
  });

  it('is cancelled while ~/.bashrc is at work, and none of its commands begins', async () => {
    // Its shell, which does not heed TERM yet, goes on when that has ended what it waits for.
    writeFileSync(path.join(home, '.bashrc'), 'echo >~/rc-began; sleep 20\n');
    try {
      const { id } = await world.submit('c', 'run: echo >~/job-began; sleep 20');
      const isThere = (name: string): boolean => existsSync(path.join(home, name));
      for (let tries = 0; !isThere('rc-began'); tries++) {
        assert.ok(tries < 500, 'its ~/.bashrc never began');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      void world.engine.cancel('c', [id]);
      assert.equal((await world.ended('c', id)).status, 'CANCELLED');
      assert.ok(!isThere('job-began'));
    } finally {
      writeFileSync(path.join(home, '.bashrc'), '');
    }
  });

  it('is cancelled while it waits, and never starts', async () => {
    const first = await world.submit('c', 'resources: {accelerators: "V100:4"}\nrun: sleep 30');
    const second = await world.submit('c', 'resources: {accelerators: "V100:4"}\nrun: sleep 30');
    await world.until(() => world.status('c', first.id) === 'RUNNING', 'the first runs');
    void world.engine.cancel('c', [second.id]);
    assert.equal((await world.ended('c', second.id)).status, 'CANCELLED');
    void world.engine.cancel('c', 'all');
    assert.equal((await world.ended('c', first.id)).status, 'CANCELLED');
    assert.equal(world.engine.job('c', second.id).record.startedAt, undefined);
  });

  it('that can never run is refused with the largest that could', async () => {
    await assert.rejects(world.submit('c', 'resources: {accelerators: "V100:8"}\nrun: echo'), /8 × V100.*4/);
    await assert.rejects(world.submit('c', 'num_nodes: 2\nrun: echo'), /2 nodes/);
    await assert.rejects(world.submit('nowhere', 'run: echo'), /no cluster nowhere/);
  });

  it('as a gang fails whole when one rank does, and names it', async () => {
    const { id } = await world.submit(
      'two',
      'num_nodes: 2\nrun: |\n  if [ "$SKYPILOT_NODE_RANK" = 1 ]; then exit 3; fi\n  sleep 60\n',
    );
    const record = await world.ended('two', id);
    assert.equal(record.status, 'FAILED');
    assert.match(record.message ?? '', /rank 1 \(node-b\) failed first with exit code 3/);
  });

  it('gives docker its own devices only, and leaves all else as it was', async () => {
    const has = 'for tool in docker podman docker-compose; do ! type -P $tool >/dev/null || echo $tool; done';
    const run = [
      'docker run --rm --gpus=all -it -v "/a b:/c" image python --gpus all',
      'docker run --gpus all --name x image',
      'docker ps --gpus all',
      'docker --context there run --gpus "device=7" image',
      // A script that takes what it finds must not find what is not there.
      has,
    ];
    const { id } = await world.submit(
      'c',
      `resources: {accelerators: "V100:2"}\nrun: |\n  ${run.join('\n  ')}\n`,
    );
    const record = await world.ended('c', id);
    const devices = record.placement?.ranks[0]?.devices.join(',') ?? '';
    const label = `<--label><cluster-queue.job=${record.uuid}-0>`;
    assert.equal(
      await world.log('c', id),
      [
        `<run>${label}<--rm><--gpus="device=${devices}"><-it><-v></a b:/c><image><python><--gpus><all>`,
        `<run>${label}<--gpus><"device=${devices}"><--name><x><image>`,
        '<ps><--gpus><all>',
        `<--context><there><run>${label}<--gpus><device=7><image>`,
        ...new Set(['docker', ...execFileSync('bash', ['-c', has], { encoding: 'utf8' }).split('\n')]),
      ].join('\n'),
    );
  });

  it('runs in the workdir as it was at submit, without what an ignore file names', async () => {
    const dir = path.join(world.home, 'project');
    mkdirSync(path.join(dir, 'sub'), { recursive: true });
    writeFileSync(path.join(dir, 'train.py'), 'v1');
    writeFileSync(path.join(dir, 'sub', 'tool.sh'), '#!/bin/sh\necho tool', { mode: 0o755 });
    writeFileSync(path.join(dir, 'big.bin'), 'x');
    writeFileSync(path.join(dir, '.gitignore'), '*.bin\n');
    const blocker = await world.submit('c', 'resources: {accelerators: "V100:4"}\nrun: sleep 1');
    const { id } = await world.submit(
      'c',
      `workdir: ${dir}\nresources: {accelerators: "V100:4"}\nrun: |\n  cat train.py; echo; ls -A; ./sub/tool.sh\n`,
    );
    writeFileSync(path.join(dir, 'train.py'), 'v2');
    await world.ended('c', blocker.id);
    await world.ended('c', id);
    assert.equal(await world.log('c', id), 'v1\n.gitignore\nsub\ntrain.py\ntool\n');
  });

  it('keeps a GPU from another engine by its lease, and lets it wait', async () => {
    const other = new World();
    try {
      const first = await world.submit('c', 'resources: {accelerators: "V100:4"}\nrun: sleep 1.5');
      await world.until(() => world.status('c', first.id) === 'RUNNING', 'the first runs');
      const { Engine } = await import('../../src/engine');
      const engine = await Engine.open({ home: other.home, sshConfigFile: world.nodes.configFile });
      await engine.addCluster({ name: 'mine', nodes: [{ name: 'node-a', destination: 'node-a' }] });
      const { taskOf } = await import('../support/world');
      const record = await engine.submit(taskOf('resources: {accelerators: "V100:1"}\nrun: date +%s%N'), {
        cluster: 'mine',
        user: 'other',
      });
      // Asked for while its node may give the job back.
      const { mirror, release } = engine.log('mine', record.id);
      await new Promise<void>((resolve) => {
        const stop = engine.onDidChange(() => {
          if (engine.job('mine', record.id).record.status !== 'SUCCEEDED') return;
          stop();
          resolve();
        });
      });
      const firstEnd = (await world.ended('c', first.id)).endedAt ?? 0;
      assert.ok((engine.job('mine', record.id).record.startedAt ?? 0) >= firstEnd - 1000);
      if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
      assert.match(readFileSync(mirror.file, 'utf8'), /^\d+\n$/);
      release();
      await engine.close();
    } finally {
      await other.close();
    }
  });
});

describe('when things break', function () {
  if (!haveSshd) return;
  this.timeout(60_000);

  it('goes on after the connection, sshd and the engine were gone, with every log line once', async () => {
    const world = new World();
    try {
      const node = await world.nodes.add('node-a', {
        gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 },
      });
      await world.open();
      await world.cluster('c', ['node-a']);
      const { id } = await world.submit(
        'c',
        'run: |\n  for i in $(seq 1 400); do echo "line $i"; sleep 0.01; done\n',
      );
      const { mirror, release } = world.engine.log('c', id);
      await new Promise<void>((resolve) => {
        const stop = mirror.onAppend(() => {
          stop();
          resolve();
        });
      });
      // sshd and every connection it has, but not the job.
      await node.crash();
      await node.start();
      await world.until(() => world.engine.view('c')?.nodes[0]?.link.state === 'up', 'node-a is back');
      await new Promise((resolve) => setTimeout(resolve, 300));
      release();
      await world.shut();
      await world.open();
      const record = await world.ended('c', id);
      assert.equal(record.status, 'SUCCEEDED');
      const log = await world.log('c', id);
      assert.equal(log, Array.from({ length: 400 }, (_, i) => `line ${i + 1}\n`).join(''));
    } finally {
      await world.close();
    }
  });

  it('adopts what ended while nobody watched, with its exit code and times', async () => {
    const world = new World();
    try {
      await world.nodes.add('node-a');
      await world.open();
      await world.cluster('c', ['node-a']);
      const { id } = await world.submit('c', 'run: |\n  sleep 1\n  echo done\n  exit 4\n');
      await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
      await world.shut();
      await new Promise((resolve) => setTimeout(resolve, 3500));
      const back = Date.now();
      await world.open();
      const record = await world.ended('c', id);
      assert.equal(record.status, 'FAILED');
      assert.deepEqual(record.exitCodes, [4]);
      assert.ok(back - (record.endedAt ?? back) > 1000, 'it ended before we came back');
      assert.equal(await world.log('c', id), 'done\n');
    } finally {
      await world.close();
    }
  });

  it('keeps the job queued while its node cannot take it, and names node and cause', async () => {
    const world = new World();
    try {
      const node = await world.nodes.add('node-a');
      await world.open();
      await world.cluster('c', ['node-a']);
      await node.crash();
      await world.until(() => world.engine.view('c')?.nodes[0]?.link.state === 'down', 'node-a is down');
      const { id } = await world.submit('c', 'run: echo hello');
      await world.until(
        () => /node-a.*refused the connection/.test(world.engine.job('c', id).reason?.text ?? ''),
        'the reason names it',
      );
      assert.equal(world.status('c', id), 'PENDING');
      await node.start();
      assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    } finally {
      await world.close();
    }
  });

  it('does not use a node without bash, and says so', async () => {
    const world = new World();
    try {
      const few = path.join(world.home, 'few');
      mkdirSync(few);
      for (const tool of [
        'sh',
        'mkdir',
        'mkfifo',
        'mv',
        'uname',
        'cat',
        'awk',
        'df',
        'nproc',
        'wc',
        'dd',
        'tail',
        'rm',
        'chmod',
        'ls',
        'head',
        'cut',
        'sleep',
        'env',
        'date',
        'id',
        'stat',
        'grep',
      ]) {
        const full = ['/usr/bin', '/bin'].map((dir) => path.join(dir, tool)).find(existsSync);
        if (full !== undefined) execFileSync('ln', ['-s', full, path.join(few, tool)]);
      }
      await world.nodes.add('no-bash', { path: few });
      await world.open();
      await world.engine.addCluster({ name: 'c', nodes: [{ name: 'no-bash', destination: 'no-bash' }] });
      await world.until(
        () => JSON.stringify(world.engine.view('c')?.nodes[0]?.link).includes('has no bash'),
        'it says so',
      );
      const { id } = await world.submit('c', 'run: echo hello');
      assert.match(world.engine.job('c', id).reason?.text ?? '', /no-bash: has no bash/);
    } finally {
      await world.close();
    }
  });

  it('keeps the job queued while the disk of its node is full, with the disk’s own words', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const world = new World();
    const home = path.join(world.home, 'small');
    mkdirSync(home);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', home]);
    try {
      await world.nodes.add('node-a', { home });
      await world.open();
      await world.cluster('c', ['node-a']);
      execFileSync('sh', ['-c', `head -c 1M /dev/zero > ${home}/filler || true`], { stdio: 'ignore' });
      const { id } = await world.submit('c', 'run: echo hello');
      await world.until(
        () => (world.engine.job('c', id).reason?.text ?? '').includes('No space left'),
        'the reason says so',
      );
      assert.match(
        world.engine.job('c', id).reason?.text ?? '',
        /node-a cannot take jobs: .*No space left on device/,
      );
      execFileSync('rm', [`${home}/filler`]);
      assert.equal((await world.ended('c', id, 30_000)).status, 'SUCCEEDED');
      assert.equal(await world.log('c', id), 'hello\n');
    } finally {
      await world.shut();
      execFileSync('sh', ['-c', `sleep 0.3; umount -l ${home}`]);
      await world.close();
    }
  });

  for (const shell of ['fish', 'tcsh', 'zsh', 'dash']) {
    it(`works with ${shell} as login shell and a banner`, async function () {
      if (![`/usr/bin/${shell}`, `/bin/${shell}`].some(existsSync)) return this.skip();
      const world = new World();
      try {
        const banner = path.join(world.home, 'banner');
        writeFileSync(banner, 'Authorised use only.\n');
        await world.nodes.add('node-a', {
          config: `ForceCommand echo Welcome; exec ${shell} -c "$SSH_ORIGINAL_COMMAND"\nBanner ${banner}`,
        });
        await world.open();
        await world.cluster('c', ['node-a']);
        const { id } = await world.submit('c', 'run: echo hello');
        assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
        assert.equal(await world.log('c', id), 'hello\n');
      } finally {
        await world.close();
      }
    });
  }

  it('tells an unreachable host, a refused key, an unknown and a changed host key apart', async () => {
    const world = new World();
    try {
      const node = await world.nodes.add('node-a');
      const message = async (name: string): Promise<string> => {
        await world.engine.addCluster({ name: `c-${name}`, nodes: [{ name, destination: name }] });
        await world.until(
          () => world.engine.view(`c-${name}`)?.nodes[0]?.link.state === 'down',
          `${name} is down`,
        );
        const link = world.engine.view(`c-${name}`)?.nodes[0]?.link;
        return link?.state === 'down' ? link.message : '';
      };
      const at = `HostName ${node.address}\n  Port ${node.port}`;
      const other = path.join(world.home, 'other');
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
      const empty = path.join(world.home, 'known-empty');
      const wrong = path.join(world.home, 'known-wrong');
      writeFileSync(empty, '');
      writeFileSync(wrong, `[${node.address}]:${node.port} ${readFileSync(`${other}.pub`, 'utf8')}`);
      world.nodes.configure(
        `Host refused\n  ${at}\n  IdentityFile ${other}\n  IdentitiesOnly yes`.replace(
          'IdentityFile',
          'IdentityFile',
        ),
      );
      world.nodes.configure(`Host unknown\n  ${at}\n  UserKnownHostsFile ${empty}`);
      world.nodes.configure(`Host changed\n  ${at}\n  UserKnownHostsFile ${wrong}`);
      world.nodes.configure('Host nowhere\n  HostName 127.0.0.1\n  Port 1');
      writeFileSync(
        `${path.dirname(world.nodes.configFile)}/node-a/authorized_keys`,
        readFileSync(`${world.nodes.userKey}.pub`),
      );
      await world.open();
      assert.match(
        await message('unknown'),
        /host key of unknown \(ssh-ed25519 SHA256:.*is not in .*known-empty/,
      );
      assert.match(
        await message('changed'),
        /host key of changed has changed: it was SHA256:\S+ \(.*known-wrong:1\), now it offers SHA256:\S+\. Refused/,
      );
      assert.match(await message('nowhere'), /nowhere \(127\.0\.0\.1:1\) refused the connection/);
      writeFileSync(`${path.dirname(world.nodes.configFile)}/node-a/authorized_keys`, '');
      assert.match(
        await message('refused'),
        new RegExp(`refused refused to log in ${os.userInfo().username} \\(tried: publickey`),
      );
    } finally {
      await world.close();
    }
  });
});
