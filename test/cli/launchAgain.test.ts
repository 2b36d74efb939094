import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { untilMet } from '../support/agentOn';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

describe('cq after a launch that failed, and after one that did not', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const nodes = new TestNodes();
  const cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile });
  before(() => nodes.add('node-a'));
  after(async () => {
    await cq.close();
    await nodes.close();
  });

  it('says why no host fitted, in status too, and goes on when it is launched again', async () => {
    writeFileSync(path.join(cq.dir, 'data.txt'), 'rows');
    writeFileSync(
      path.join(cq.dir, 'c.yaml'),
      'num_nodes: 1\nfile_mounts: {~/data.txt: ./data.txt}\nrun: cat ~/data.txt\n',
    );
    const away = nodes.find('node-a');
    await away.stop();
    const refused = await cq.run('launch', '-c', 'mine', '--hosts', 'node-a', 'c.yaml');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /mine needs 1 host that fits, and 0 of 1 did: node-a: .*refused/);
    assert.match(refused.stderr, /to go on with it: cq launch -c mine \S+c\.yaml$/m);
    const more = await cq.run('launch', '-c', 'mine', '--hosts', 'node-a', '--env', 'A=b', 'c.yaml');
    assert.match(more.stderr, /to go on with it: cq launch -c mine \S+c\.yaml, with the same options$/m);
    const status = await cq.run('status');
    assert.match(
      status.stdout,
      /the launch of mine failed when looking for hosts that fit: mine needs 1 host/,
    );
    assert.match(status.stdout, /to go on with it: cq launch -c mine \S+c\.yaml/);
    const { clusters } = JSON.parse((await cq.run('status', '--json')).stdout) as {
      clusters: { launch: unknown }[];
    };
    assert.match(JSON.stringify(clusters[1]?.launch), /^\{"step":"connect","message":"mine needs 1 host/);
    await away.start();
    const again = await cq.run('launch', '-c', 'mine', 'c.yaml');
    assert.deepEqual([again.code, again.stdout], [0, 'rows'], again.stderr);
    assert.doesNotMatch((await cq.run('status')).stdout, /launch/);
  });

  it('leaves a cluster that is up as it was when a source or the workdir is not on this machine', async () => {
    const launched = async (yaml: string): Promise<string> => {
      writeFileSync(path.join(cq.dir, 'wrong.yaml'), yaml);
      const { code, stdout, stderr } = await cq.run('launch', '-c', 'mine', 'wrong.yaml');
      assert.deepEqual([code, stdout], [1, ''], stderr);
      assert.doesNotMatch((await cq.run('status')).stdout, /launch/);
      return stderr;
    };
    const said = await launched('file_mounts: {~/early: ./data.txt, ~/x: nosuch, ~/y: ./none}\nrun: echo\n');
    assert.match(said, /^cq: file_mounts ~\/x: the source \S+nosuch does not exist; .*~\/y/);
    assert.doesNotMatch(said, /workdir|cq down/);
    assert.ok(!existsSync(path.join(nodes.find('node-a').home, 'early')));
    for (const workdir of ['./none', './data.txt'])
      assert.match(
        await launched(`workdir: ${workdir}\nrun: echo\n`),
        /the task's workdir .* (does not exist|is a file)/,
      );
  });

  it('does not advise to end a cluster that was up before when a mount cannot be placed there', async () => {
    const there = path.join(nodes.find('node-a').home, 'blocked');
    writeFileSync(there, 'a file where a folder is needed');
    writeFileSync(path.join(cq.dir, 'b.yaml'), 'file_mounts: {~/blocked/x: ./data.txt}\nrun: echo\n');
    const failed = await cq.run('launch', '-c', 'mine', 'b.yaml');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /to go on with it: cq launch -c mine \S+b\.yaml/);
    assert.doesNotMatch(failed.stderr, /cq down/);
    rmSync(there);
    assert.equal((await cq.run('launch', '-c', 'mine', 'c.yaml')).code, 0);
  });

  it('says what a setup that fails kept from running, in status too, until one succeeds', async () => {
    const file = path.join(cq.dir, 'sf.yaml');
    writeFileSync(file, 'setup: exit 3\nrun: echo ran\n');
    const failed = await cq.run('launch', '-c', 'sf', '--hosts', 'node-a', 'sf.yaml');
    assert.equal(failed.code, 100, failed.stderr);
    assert.ok(
      failed.stderr.endsWith(
        `the task was not run: mend the setup and launch again: cq launch -c sf ${file}; its log: cq logs sf 1\n`,
      ),
      failed.stderr,
    );
    const status = (await cq.run('status')).stdout;
    assert.match(
      status,
      /the launch of sf failed when running setup: job 1 is FAILED_SETUP: exit code 3\n {2}its log: cq logs sf 1\n {2}to go on with it: cq launch -c sf/,
    );
    writeFileSync(file, 'setup: echo\nrun: echo ran\n');
    const mended = await cq.run('launch', '-c', 'sf', 'sf.yaml');
    assert.equal(mended.code, 0, mended.stderr);
    assert.doesNotMatch((await cq.run('status')).stdout, /launch of/);
    assert.equal((await cq.run('down', 'sf', '-y')).code, 0);
  });

  it('says on stderr which mounts an exec leaves as they are, and places them with --sync-mounts', async () => {
    const quiet = await cq.run('exec', 'mine', 'c.yaml');
    assert.doesNotMatch(quiet.stderr, /file_mounts/);
    writeFileSync(path.join(cq.dir, 'data.txt'), 'more rows');
    const asItIs = await cq.run('exec', 'mine', 'c.yaml');
    assert.deepEqual([asItIs.code, asItIs.stdout], [0, 'rows']);
    assert.match(
      asItIs.stderr,
      /^file_mounts: ~\/data\.txt has changed since it was placed; to place that first, say --sync-mounts$/m,
    );
    const away = nodes.find('node-a');
    await away.stop();
    const unplaced = await cq.run('exec', 'mine', 'c.yaml', '--sync-mounts', '-d');
    assert.equal(unplaced.code, 1);
    assert.match(
      unplaced.stderr,
      /~\/data\.txt was not placed on node-a: .*refused the connection.*\. Nothing was queued$/m,
    );
    const queued = await cq.run('exec', 'mine', '-d', '--', 'true');
    assert.equal(queued.code, 0);
    assert.match(
      queued.stderr,
      /waiting for node-a: .*refused the connection.*\. It starts while VS Code or some cq is open/,
    );
    await away.start();
    const synced = await cq.run('exec', 'mine', 'c.yaml', '--sync-mounts');
    assert.deepEqual([synced.code, synced.stdout], [0, 'more rows'], synced.stderr);
    assert.match(synced.stderr, /has changed since it was placed\nplacing ~\/data\.txt$/m);
    assert.doesNotMatch((await cq.run('exec', 'mine', 'c.yaml', '--sync-mounts')).stderr, /file_mounts/);
  });

  it('says so when a node that cannot be reached may start what is held, or start anything', async () => {
    const begun = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cq.run('exec', 'mine', '-d', '--json', ...words);
      assert.equal(code, 0, stderr);
      return String((JSON.parse(stdout) as { id: number }).id);
    };
    const first = await begun('--', 'sleep 300');
    const next = await begun('--after', first, '--', 'true');
    const away = nodes.find('node-a');
    await away.stop();
    const held = await cq.run('hold', 'mine', next);
    assert.equal(held.code, 1);
    assert.match(held.stderr, /job \d+ is staged on node-a, which cannot be reached, and may start there/);
    const drained = await cq.run('drain', 'mine', 'node-a');
    assert.equal(drained.code, 1);
    assert.match(drained.stderr, /node-a cannot be reached: what is staged there may start/);
    await away.start();
    assert.equal((await cq.run('undrain', 'mine', 'node-a')).code, 0);
    assert.equal((await cq.run('cancel', 'mine', '--all', '-y')).code, 0);
  });

  it('leaves nothing of the agent when it is taken down by a process that was not connected, and says where it could not', async () => {
    const there = path.join(nodes.find('node-a').home, '.cluster-queue');
    assert.ok(existsSync(there));
    const down = await cq.run('down', 'mine', '-y');
    assert.deepEqual([down.code, down.stderr], [0, '']);
    // The session's own end is the last to go, and nobody waits for it.
    await untilMet(
      () => !existsSync(there),
      1500,
      () => execFileSync('find', [there], { encoding: 'utf8' }),
    );
    await cq.run('launch', '-c', 'again', '--hosts', 'node-a');
    await nodes.find('node-a').stop();
    const away = await cq.run('down', 'again', '-y');
    assert.equal(away.code, 0);
    assert.match(away.stderr, /could not be reached, and keep what is in ~\/\.cluster-queue: node-a/);
  });
});
