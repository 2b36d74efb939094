import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fakeCrontab, rebootLines } from '../support/fakeCron';
import { Cq } from './cq';

describe('cq resume-at-boot', function () {
  if (process.platform !== 'linux') return;
  this.timeout(60_000);
  const cq = new Cq();
  const bin = path.join(cq.dir, 'bin');
  const table = path.join(cq.dir, 'table');
  const node = os.hostname();
  const fake = (name: string, body: string): void =>
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  before(() => {
    mkdirSync(bin);
    cq.env.PATH = `${bin}:${process.env.PATH ?? ''}`;
    cq.env.XDG_CONFIG_HOME = undefined;
    writeFileSync(table, '# mine\n');
    fake('crontab', fakeCrontab(table));
    fake('loginctl', 'echo Access denied >&2; exit 1');
  });
  after(() => cq.close());

  it('says of each node what was installed, once, and takes it back', async () => {
    for (let i = 0; i < 2; i++) {
      const { code, stdout, stderr } = await cq.run('resume-at-boot', 'local');
      assert.equal(code, 0, stderr);
      assert.ok(stdout.startsWith(`${node}: a line @reboot in the crontab starts what waits there`), stdout);
      assert.equal(stderr, 'undo: cq resume-at-boot local --undo\n');
    }
    assert.equal(rebootLines(table).length, 1);
    const { stdout } = await cq.run('resume-at-boot', 'local', '--undo');
    assert.equal(stdout, `${node}: nothing is started at boot any more\n`);
    assert.equal(readFileSync(table, 'utf8'), '# mine\n');
    const again = await cq.run('resume-at-boot', 'local', '--undo');
    assert.deepEqual([again.code, again.stdout], [0, `${node}: nothing was installed\n`]);
  });

  it('names the node where it cannot be, and why, and the cluster that is not there', async () => {
    fake('crontab', 'echo You are not allowed to use this program >&2; exit 1');
    const { code, stdout, stderr } = await cq.run('resume-at-boot', 'local');
    assert.deepEqual([code, stdout], [1, '']);
    assert.ok(stderr.startsWith(`cq: ${node}: its crontab cannot be read: You are not allowed`), stderr);
    assert.match(stderr, /systemd does not let \w+ linger \(Access denied\)/);
    const none = await cq.run('resume-at-boot', 'nowhere');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /there is no cluster nowhere/);
  });
});
