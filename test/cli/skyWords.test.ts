import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Cq } from './cq';

describe('the words of sky, with cq', function () {
  this.timeout(60_000);
  const cq = new Cq();
  after(() => cq.close());
  const file = (name: string, text: string): string => {
    const full = path.join(cq.dir, name);
    writeFileSync(full, text);
    return full;
  };

  it('of a command need no -- before it where they are no task file', async () => {
    const { code, stdout, stderr } = await cq.run('exec', 'local', 'echo', 'as', 'it', 'is');
    assert.deepEqual([code, stdout], [0, 'as it is\n'], stderr);
    assert.match(stderr, /^command to run: echo as it is$/m);
    const one = await cq.run('exec', 'local', 'hostname', '--detach-run');
    assert.equal(one.code, 0, one.stderr);
    assert.match(one.stderr, /^command to run: hostname\njob \d+ queued on local\n(?!.*SUCCEEDED)/);
    const named = await cq.run('exec', '-c', 'local', 'echo', 'named');
    assert.deepEqual([named.code, named.stdout], [0, 'named\n'], named.stderr);
    // A task file may have any name; a script is a command.
    file('task', 'run: echo a task\n');
    assert.equal((await cq.run('exec', 'local', 'task')).stdout, 'a task\n');
    writeFileSync(path.join(cq.dir, 'script'), '#!/bin/sh\necho "a script: $*"\n', { mode: 0o755 });
    for (const words of [['./script'], ['./script', '1']])
      assert.equal(
        (await cq.run('exec', 'local', '--workdir', '.', ...words)).stdout,
        `a script: ${words[1] ?? ''}\n`,
      );
  });

  it('of files of secrets go before those of the task, and after --secret', async () => {
    const task = file('secrets.yaml', 'secrets: {A: file, B:, C:}\nrun: echo "$A $B $C $D"\n');
    const secrets = file('secrets.env', 'A=a\nB="b b"\nC=c\nD=d\n');
    const { stdout, stderr } = await cq.run(
      ...['exec', 'local', task, '--secret-file', secrets, '--secret', 'C=mine'],
    );
    assert.equal(stdout, 'a b b mine d\n', stderr);
  });

  it('of git make a repository the workdir', async () => {
    const dir = path.join(cq.dir, 'repository');
    const git = (...args: string[]): unknown =>
      execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@x', '-C', dir, ...args]);
    execFileSync('git', ['init', '-q', '-b', 'main', dir]);
    for (const word of ['first', 'second']) {
      file('repository/word', word);
      git('add', '.');
      git('commit', '-q', '-m', word);
      git('tag', word);
    }
    const run = async (...args: string[]): Promise<string> => {
      const { stdout, stderr } = await cq.run('exec', 'local', ...args);
      return stdout || stderr;
    };
    assert.equal(await run('--git-url', './repository', '--', 'cat', 'word'), 'second');
    assert.equal(await run('--git-url', dir, '--git-ref', 'first', '--', 'cat', 'word'), 'first');
    const task = file('git.yaml', `workdir: {url: ${dir}}\nrun: cat word\n`);
    assert.equal(await run(task, '--git-ref', 'first'), 'first');
  });

  it('of a dry run say what a launch would do, and leave all as it is; without setup it has none', async () => {
    const task = file(
      'dry.yaml',
      'num_nodes: 2\nresources: {accelerators: V100:4}\nfile_mounts: {~/x: ./dry.yaml}\nsetup: exit 3\nrun: echo ran\n',
    );
    const dry = await cq.run('launch', '-c', 'dry', '--hosts', 'a,b,c', task, '--dryrun');
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(
      dry.stdout,
      /^make a cluster dry of the first 2 hosts with 4 × V100.* of: a, b, c\nplace \S+dry\.yaml as ~\/x\nrun setup on all its nodes\nqueue the task, for after that\nnothing of this was done/,
    );
    assert.doesNotMatch((await cq.run('status')).stdout, /dry/);
    const there = await cq.run(
      'launch',
      '-c',
      'local',
      '--num-nodes',
      '1',
      '--dryrun',
      '--no-setup',
      '--',
      'true',
    );
    assert.match(
      there.stdout,
      /^connect to local \(.*\), and see that 1 host there can have .*\nqueue the task\n/,
    );
    const plain = file('setup.yaml', 'setup: exit 3\nrun: echo ran\n');
    const bare = await cq.run('launch', '-c', 'local', plain, '--no-setup');
    assert.deepEqual([bare.code, bare.stdout], [0, 'ran\n'], bare.stderr);
  });

  it('of sky for output and for everybody are taken as they are', async () => {
    const json = (await cq.run('queue', 'local', '--json')).stdout;
    assert.equal((await cq.run('queue', 'local', '-u', '-o', 'json')).stdout, json);
    assert.match((await cq.run('queue', 'local', '--output', 'table')).stdout, /^ID/);
    assert.equal((await cq.run('status', '-o', 'json')).stdout, (await cq.run('status', '--json')).stdout);
    await cq.run('exec', 'local', '--', 'echo', 'one');
    const [first, second] = (JSON.parse(json) as { local: { id: number }[] }).local.map(({ id }) => id);
    const copied = await cq.run('logs', 'local', `${first}`, `${second}`, '--sync-down', 'copied');
    assert.equal(copied.stdout.trim().split('\n').filter(existsSync).length, 2, copied.stderr);
    if (process.platform === 'linux') {
      // Node tries for ever to make a folder with those above it there.
      const nowhere = await cq.run('logs', 'local', '--sync-down', '/proc/nowhere/at all');
      assert.match(
        nowhere.stderr,
        /^cq: \/proc\/nowhere\/at all cannot be made \(ENOENT.*\): name another one with --sync-down\n/,
      );
    }
    assert.equal((await cq.run('logs', '--follow', 'local')).stdout, 'one\n');
  });

  it('of cancel without a job mean the latest that runs', async () => {
    await cq.run('exec', 'local', '-d', '-n', 'older', '--', 'sleep', '300');
    await cq.run('exec', 'local', '-d', '-n', 'newer', '--', 'sleep', '300');
    await cq.run('exec', 'local', '--', 'true');
    const cancelled = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cq.run('cancel', 'local', ...args);
      assert.equal(code, 0, stderr);
      return stdout || stderr;
    };
    const [older, newer] = (
      JSON.parse((await cq.run('queue', 'local', '-s', '--json')).stdout) as {
        local: { id: number; name: string }[];
      }
    ).local
      .sort((a, b) => a.id - b.id)
      .map(({ id }) => id);
    assert.equal(await cancelled('-y'), `cancelled on local: job ${newer}\n`);
    assert.equal(await cancelled('--yes'), `cancelled on local: job ${older}\n`);
    assert.match(await cancelled('-y'), /no job of yours runs on local; those that wait: cq queue local -s/);
    assert.match(await cancelled('-u', '-y'), /no job waits or runs on local/);
  });
});
