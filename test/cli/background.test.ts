import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Cq } from './cq';

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Resolves when whoever collects orphans has collected it. */
const gone = async (pid: number): Promise<void> => {
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe('cq engine in the background', function () {
  this.timeout(60_000);
  const cq = new Cq();
  const log = path.join(cq.home, 'engine.log');
  const bin = path.join(cq.dir, 'bin');
  /** A program that writes its arguments and its stdin to `NAME.called`; `body` is what else it does. */
  const fake = (name: string, body: string): void => {
    const file = path.join(bin, name);
    writeFileSync(file, `#!/bin/sh\necho "$*" >>'${file}.called'\n${body}\n`);
    chmodSync(file, 0o755);
  };
  const called = (name: string): string => {
    const file = path.join(bin, `${name}.called`);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  before(() => {
    mkdirSync(bin);
    cq.env.PATH = `${bin}:${process.env.PATH ?? ''}`;
    cq.env.XDG_CONFIG_HOME = undefined;
    cq.env.CLUSTER_QUEUE_CQ = undefined;
  });
  after(async () => {
    await cq.run('engine', '--stop');
    await cq.close();
  });

  it('is started once, says where it is, serves other commands, and is ended', async () => {
    const [one, two] = await Promise.all([
      cq.run('engine', '--background'),
      cq.run('engine', '--background'),
    ]);
    assert.deepEqual([one.code, two.code], [0, 0], one.stderr + two.stderr);
    const words = one.stdout + two.stdout;
    const [, pid] = /^a background engine was started: process (\d+), log .*engine\.log$/m.exec(words) ?? [];
    assert.ok(pid !== undefined && alive(Number(pid)), words);
    assert.match(words, new RegExp(`^a background engine is on already: process ${pid}, log `, 'm'));
    assert.match(
      (await cq.run('status')).stdout,
      new RegExp(`^A background engine is on: process ${pid},`, 'm'),
    );
    const { background } = JSON.parse((await cq.run('status', '--json')).stdout) as { background: unknown };
    assert.deepEqual(background, { pid: Number(pid), host: null, log });
    assert.equal((await cq.run('exec', 'local', '--', 'echo hello')).stdout, 'hello\n');
    assert.match(readFileSync(log, 'utf8'), /this process has the queue\n[^]*Z local\/\S+: connected\n/);
    assert.equal(
      (await cq.run('engine', '--stop')).stdout,
      `the background engine (process ${pid}) has ended; jobs on nodes go on\n`,
    );
    await gone(Number(pid));
    assert.match(readFileSync(log, 'utf8'), /was told to end; jobs on nodes go on\n$/);
    assert.equal((await cq.run('engine', '--stop')).stdout, 'no background engine is on\n');
    assert.match((await cq.run('status')).stdout, /^No background engine is on/m);
  });

  it('waits while another process has the queue, takes over when that is killed, and is noticed when killed itself', async () => {
    const window = cq.start('engine');
    await window.said(/this process has the queue/);
    const { stdout } = await cq.run('engine', '--background');
    const pid = Number(/process (\d+)/.exec(stdout)?.[1]);
    const waits = /another process has the queue; this one takes over when that ends\n$/;
    while (!waits.test(readFileSync(log, 'utf8'))) await new Promise((resolve) => setTimeout(resolve, 20));
    const client = cq.start('engine');
    await client.said(/another process has the queue/);
    await window.stop('SIGKILL');
    // Whoever of the two came first.
    await client.stop('SIGINT');
    assert.equal((await cq.run('exec', 'local', '--', 'echo again')).stdout, 'again\n');
    assert.match(readFileSync(log, 'utf8'), /takes over when that ends\n[^]*this process has the queue\n/);
    process.kill(pid, 'SIGKILL');
    await gone(pid);
    assert.match((await cq.run('status')).stdout, /^No background engine is on/m);
  });

  it('says why it cannot start', async () => {
    const file = path.join(cq.dir, 'not-a-folder');
    writeFileSync(file, '');
    const before = cq.env.CLUSTER_QUEUE_HOME;
    cq.env.CLUSTER_QUEUE_HOME = file;
    const { code, stderr } = await cq.run('engine', '--background');
    cq.env.CLUSTER_QUEUE_HOME = before;
    assert.equal(code, 1);
    assert.match(stderr, /the background engine did not start: .*not-a-folder/);
    assert.equal((await cq.run('engine', '--background', '--stop')).code, 2);
  });

  if (process.platform !== 'linux') return;

  it('is put into systemd where that looks after the user, and taken out again', async () => {
    fake('systemctl', 'exit 0');
    fake('crontab', 'exit 1');
    const unit = path.join(cq.dir, '.config', 'systemd', 'user', 'cluster-queue.service');
    const { code, stdout, stderr } = await cq.run('engine', '--at-login');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /wrote and enabled .*cluster-queue\.service/);
    assert.match(stderr, /undo: cq engine --not-at-login/);
    const text = readFileSync(unit, 'utf8');
    assert.ok(
      text.includes(`ExecStart="${process.execPath}" "--" "${cq.program}" "engine" "--unattended"`),
      text,
    );
    assert.ok(text.includes(`Environment="CLUSTER_QUEUE_HOME=${cq.home}"`), text);
    assert.match(called('systemctl'), /--user daemon-reload\n--user enable cluster-queue\.service\n$/);
    assert.match((await cq.run('engine', '--not-at-login')).stdout, /^removed .*cluster-queue\.service;/);
    assert.ok(!existsSync(unit));
    assert.match(called('systemctl'), /--user disable cluster-queue\.service\n--user daemon-reload\n$/);
    assert.match((await cq.run('engine', '--not-at-login')).stdout, /^nothing to undo/);
  });

  it('leaves no unit behind that systemd does not take', async () => {
    fake('systemctl', '[ "$2" != enable ] || { echo no such thing >&2; exit 1; }');
    const { code, stderr } = await cq.run('engine', '--at-login');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /systemctl did not take cluster-queue\.service: no such thing; nothing was installed/,
    );
    assert.ok(!existsSync(path.join(cq.dir, '.config', 'systemd', 'user', 'cluster-queue.service')));
  });

  it('is put into the crontab elsewhere, once, and what else is there stays', async () => {
    const table = path.join(cq.dir, 'crontab');
    fake('systemctl', 'exit 1');
    fake('crontab', `if [ "$1" = -l ]; then cat '${table}'; else cat >'${table}'; fi`);
    writeFileSync(table, '# mine\n0 5 * * * true\n');
    for (let i = 0; i < 2; i++) assert.equal((await cq.run('engine', '--at-login')).code, 0);
    const lines = readFileSync(table, 'utf8').split('\n');
    assert.deepEqual(lines.slice(0, 2), ['# mine', '0 5 * * * true']);
    assert.equal(lines.length, 4);
    assert.match(lines[2] ?? '', /^@reboot .*'engine' '--unattended' >\/dev\/null 2>&1 # cluster-queue$/);
    assert.match((await cq.run('engine', '--not-at-login')).stdout, /^removed the line of your crontab;/);
    assert.equal(readFileSync(table, 'utf8'), '# mine\n0 5 * * * true\n');
  });

  it('does not touch a crontab that cannot be read, and leaves empty lines where they are', async () => {
    const table = path.join(cq.dir, 'crontab');
    fake('systemctl', 'exit 1');
    fake('crontab', `if [ "$1" = -l ]; then echo 'the disk is ill' >&2; exit 1; else cat >'${table}'; fi`);
    writeFileSync(table, '# mine\n\n0 5 * * * true\n');
    const { code, stderr } = await cq.run('engine', '--at-login');
    assert.equal(code, 1);
    assert.match(stderr, /crontab -l: the disk is ill/);
    assert.equal(readFileSync(table, 'utf8'), '# mine\n\n0 5 * * * true\n');
    fake('crontab', `if [ "$1" = -l ]; then cat '${table}'; else cat >'${table}'; fi`);
    assert.equal((await cq.run('engine', '--at-login')).code, 0);
    assert.match(readFileSync(table, 'utf8'), /^# mine\n\n0 5 \* \* \* true\n@reboot .*\n$/);
    writeFileSync(table, '');
    assert.equal((await cq.run('engine', '--at-login')).code, 0);
    assert.match(readFileSync(table, 'utf8'), /^@reboot .*\n$/);
  });
});
