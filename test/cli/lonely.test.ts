import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

describe('one cq beside others that cannot help it', function () {
  this.timeout(60_000);
  const nodes = new TestNodes();
  const cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile });
  /** In a shell, which has the outputs; `cq` is the program. */
  const shell = (line: string) => {
    const text = `cq() { "${process.execPath}" -- "${cq.program}" "$@"; }; ${line}`;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', text], { env: cq.env, encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  after(async () => {
    await cq.close();
    await nodes.close();
  });

  it('that leaves a job for two nodes has started it first, when they are free', async function () {
    if (!haveSshd) this.skip();
    for (const name of ['node-a', 'node-b']) await nodes.add(name);
    const launched = await cq.run('launch', '-c', 'pair', '--hosts', 'node-a,node-b');
    assert.equal(launched.code, 0, launched.stderr);
    const { code, stderr } = await cq.run('exec', 'pair', '--num-nodes', '2', '-d', '--', 'touch ~/was-here');
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /starts while/);
    const homes = nodes.find('node-a').home + ' ' + nodes.find('node-b').home;
    const { status } = shell(
      `for home in ${homes}; do until [ -e $home/was-here ]; do sleep 0.1; done; done`,
    );
    assert.equal(status, 0);
  });

  it('does not say of a job that has ended that it goes on, when its reader has had enough', async () => {
    const { code, stderr } = await cq.run('exec', 'local', '--', 'seq 300000');
    assert.equal(code, 0, stderr);
    for (let round = 0; round < 3; round++) {
      const piped = shell('cq logs local 1 | head -1; exit ${PIPESTATUS[0]}');
      assert.deepEqual([piped.status, piped.stdout], [0, '1\n'], piped.stderr);
      assert.doesNotMatch(piped.stderr, /goes on/);
    }
  });

  it('says that its output could not be written, and fails', function () {
    if (!existsSync('/dev/full')) this.skip();
    for (const line of ['cq queue local >/dev/full', 'cq logs local 1 >/dev/full']) {
      const { status, stderr } = shell(line);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /^cq: the output cannot be written: ENOSPC: no space left/m);
      assert.doesNotMatch(stderr, /^ +at /m);
    }
  });

  it('can be ended, and else says what to do, while the one that has the queue is suspended', async function () {
    if (process.platform === 'win32') this.skip();
    const engine = cq.start('engine');
    await engine.said(/this process has the queue/);
    engine.signal('SIGSTOP');
    try {
      const asking = cq.run('queue');
      const ended = shell(`timeout -s INT -k 10 1 "${process.execPath}" "${cq.program}" queue`);
      // As timeout says it when nothing but its signal was needed.
      assert.equal(ended.status, 124, ended.stderr);
      const { code, stderr } = await asking;
      assert.equal(code, 1);
      assert.match(
        stderr,
        /process \d+ has the queue but does not answer: if it is suspended \(Ctrl-Z\), .*fg/,
      );
    } finally {
      engine.signal('SIGCONT');
      await engine.stop('SIGINT');
    }
  });
});
