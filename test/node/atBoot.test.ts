import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { LocalTransport, SshTransport, type Transport } from '../../src/transport';
import { AGENT_WAYS } from '../support/agentWays';
import { cronRuns, fakeCrontab, rebootLines, runAtBoot } from '../support/fakeCron';
import { processes } from '../faults/processes';
import { haveSshd, TestNodes } from '../support/sshd';

const GPU = 'GPU-7';
const OTHERS = '# mine\nMAILTO=""\n\n0 5 * * * echo 100\\% # cluster-queue\n@daily true\n';

for (const { file, env, name } of AGENT_WAYS) {
  describe(`what a node resumes at boot, ${name}`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-boot-'));
    const nodes = new TestNodes();
    const bin = path.join(dir, 'bin');
    const table = path.join(dir, 'table');
    const sessions: (() => void)[] = [];
    const cron = cronRuns() ? 'cron' : 'idle';
    let home: string;

    const open = async (transport: Transport, owner: string): Promise<AgentSession> => {
      const session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
      await session.own(owner);
      sessions.push(() => {
        session.close();
        transport.close();
      });
      return session;
    };
    const connect = async (owner: string): Promise<AgentSession> =>
      open(
        await SshTransport.connect('node-a', { configFile: nodes.configFile, prompter: undefined }),
        owner,
      );
    /** A tool of the node that writes its arguments to `NAME.called` and does `body`. */
    const tool = (tool: string, body: string): void => {
      rmSync(path.join(bin, `${tool}.called`), { force: true });
      const text = `#!/bin/sh\necho "$*" >>'${path.join(bin, `${tool}.called`)}'\n${body}\n`;
      writeFileSync(path.join(bin, tool), text, { mode: 0o755 });
    };
    const called = (tool: string): string[] => {
      const calls = path.join(bin, `${tool}.called`);
      return existsSync(calls) ? readFileSync(calls, 'utf8').split('\n').slice(0, -1) : [];
    };
    const staged = (): number =>
      readdirSync(path.join(home, '.cluster-queue', 'staged')).filter((entry) => /^\d/.test(entry)).length;
    /** Stages a job without a word to anybody who could start it. */
    const stage = async (
      session: AgentSession,
      gpus: 0 | 1,
    ): Promise<{ uuid: string; ended: Promise<void> }> => {
      const uuid = randomUUID();
      const want = `node-a 127.0.0.1 1000 1000 1:1:${gpus}000000000:${gpus}:${gpus === 0 ? '' : `0=${GPU}`}\n`;
      const run = 'echo "$CLUSTER_QUEUE_NODE $PATH $HOME"';
      await session.stage({ name: `00-n.class.${uuid}`, graceS: 1, env: '', run, want, after: [] });
      const ended = new Promise<void>((resolve) => {
        session.onEvent = (event) => {
          if (event.uuid === uuid && event.kind === 'ended') resolve();
        };
      });
      return { uuid, ended };
    };

    before(async () => {
      mkdirSync(bin);
      symlinkSync(file, path.join(bin, 'sh'));
      ({ home } = await nodes.add('node-a', { bin, env }));
    });
    beforeEach(() => {
      tool('crontab', fakeCrontab(table));
      tool('systemctl', 'exit 0');
      tool('loginctl', 'exit 0');
      tool('nvidia-smi', 'exit 0');
      writeFileSync(table, OTHERS);
    });
    afterEach(async () => {
      for (const close of sessions.splice(0)) close();
      // A session that ends looks once more for what it could start.
      while (
        processes().some(
          ({ command }) => command.includes(`${dir}/`) || command.includes(`${nodes.dir}/node-a/home/`),
        )
      )
        await new Promise((resolve) => setTimeout(resolve, 20));
    });
    after(async () => {
      await nodes.close();
      rmSync(dir, { recursive: true });
    });

    it('is a line of the crontab, once, and all others stay as they were', async () => {
      const session = await connect('store/c/node-a');
      assert.equal(await session.atBoot('on'), cron);
      assert.equal(await session.atBoot('on'), cron);
      const [line, ...more] = rebootLines(table);
      assert.deepEqual(more, []);
      assert.equal(readFileSync(table, 'utf8'), `${OTHERS}${line ?? ''}\n`);
      assert.match(
        line ?? '',
        /^@reboot test -r '.*\/node-a\/boot\/run' && sh '.*' # cluster-queue on node-a$/,
      );
      // Two that come at once, from two queues.
      const other = await connect('other/c/node-a');
      assert.deepEqual(await Promise.all([session.atBoot('on'), other.atBoot('on')]), [cron, cron]);
      assert.deepEqual(rebootLines(table), [line]);
      assert.equal(await session.atBoot('leave'), 'kept');
      assert.deepEqual(rebootLines(table), [line]);
      assert.equal(await other.atBoot('leave'), 'removed');
      assert.equal(readFileSync(table, 'utf8'), OTHERS);
      assert.equal(await other.atBoot('leave'), 'none');
      assert.equal(await other.atBoot('off'), 'none');
      assert.equal(readFileSync(table, 'utf8'), OTHERS);
      assert.deepEqual(called('systemctl'), []);
    });

    it('is the first line of a user who has no crontab', async () => {
      rmSync(table);
      const session = await connect('store/c/node-a');
      assert.equal(await session.atBoot('on'), cron);
      assert.equal(readFileSync(table, 'utf8').split('\n').length, 2);
      assert.equal(await session.atBoot('off'), 'removed');
      assert.equal(readFileSync(table, 'utf8'), '');
    });

    it('starts once what is staged, with the session’s environment, and only on its own machine', async () => {
      const session = await connect('store/c/node-a');
      await session.atBoot('on');
      const job = await stage(session, 0);
      writeFileSync(path.join(bin, 'uname'), '#!/bin/sh\necho other\n', { mode: 0o755 });
      runAtBoot(table);
      assert.equal(staged(), 1);
      rmSync(path.join(bin, 'uname'));
      runAtBoot(table);
      runAtBoot(table);
      await job.ended;
      assert.equal(staged(), 0);
      const log = path.join(home, '.cluster-queue', 'node-a', 'jobs', job.uuid, 'run.log');
      const [node, searched = '', at] = readFileSync(log, 'utf8').trimEnd().split(' ');
      assert.deepEqual([node, at], ['node-a', home]);
      assert.ok(searched.includes(bin), searched);
      await session.forget([job.uuid]);
      assert.equal(await session.atBoot('off'), 'removed');
    });

    it('waits for GPUs that its driver does not show yet, and leaves it to a client when they do not come', async () => {
      const session = await connect('store/c/node-a');
      await session.atBoot('on');
      const shown = path.join(dir, 'shown');
      tool('nvidia-smi', `case "$*" in *query-gpu*) cat '${shown}' ;; esac`);
      const job = await stage(session, 1);
      runAtBoot(table, { CLUSTER_QUEUE_BOOT_WAIT: '0' });
      assert.equal(staged(), 1);
      // The first look finds none, and the second, which it waits for, does.
      tool(
        'nvidia-smi',
        `case "$*" in *query-gpu*) cat '${shown}' || { echo ${GPU} >'${shown}'; exit 9; } ;; esac`,
      );
      runAtBoot(table);
      await job.ended;
      assert.equal(called('nvidia-smi').filter((words) => words.includes('query-gpu')).length, 2);
      await session.forget([job.uuid]);
      await session.atBoot('off');
      rmSync(shown);
    });

    it('is a unit of systemd where there is no crontab to be had, if the user may linger', async () => {
      const session = await connect('store/c/node-a');
      const units = path.join(home, '.config', 'systemd', 'user');
      const unit = path.join(units, 'cluster-queue-node-a.service');
      // What cannot be read must not be written over.
      tool(
        'crontab',
        '[ "$1" = -l ] || exit 0; echo \'You (me) are not allowed to use this program\' >&2; exit 1',
      );
      tool('loginctl', 'echo "Could not enable linger: Access denied" >&2; exit 1');
      await assert.rejects(session.atBoot('on'), {
        code: 'boot',
        message:
          /^its crontab cannot be read: You \(me\) are not allowed.*; systemd does not let \w+ linger \(Could not enable linger: Access denied\): .*loginctl enable-linger/,
      });
      assert.ok(!existsSync(unit));
      tool('loginctl', 'exit 0');
      tool('systemctl', '[ "$2" != enable ] || { echo no such thing >&2; exit 1; }');
      await assert.rejects(
        session.atBoot('on'),
        /systemctl --user did not take cluster-queue-node-a.service: no such thing/,
      );
      assert.ok(!existsSync(unit));
      assert.ok(!existsSync(path.join(home, '.cluster-queue', 'node-a', 'boot')));
      tool('systemctl', 'exit 0');
      for (let i = 0; i < 2; i++) assert.equal(await session.atBoot('on'), 'systemd');
      const run = path.join(home, '.cluster-queue', 'node-a', 'boot', 'run');
      const text = readFileSync(unit, 'utf8');
      assert.ok(text.includes(`\nExecStart=/bin/sh "${run}"\n`), text);
      assert.ok(text.includes('\nConditionPathExists=/var/lib/systemd/linger/%u\n'), text);
      assert.deepEqual([...new Set(called('loginctl'))], ['--no-ask-password enable-linger']);
      assert.deepEqual(called('systemctl'), [
        '--user daemon-reload',
        '--user enable cluster-queue-node-a.service',
        '--user daemon-reload',
        '--user enable cluster-queue-node-a.service',
      ]);
      assert.equal(await session.atBoot('off'), 'removed');
      assert.ok(!existsSync(unit));
      assert.deepEqual(called('systemctl').slice(4), [
        '--user disable cluster-queue-node-a.service',
        '--user daemon-reload',
      ]);
      assert.deepEqual([...new Set(called('crontab'))], ['-l']);
      assert.equal(readFileSync(table, 'utf8'), OTHERS);
    });

    it('goes with the agent, unless another cluster asked for it too', async () => {
      const one = await connect('store/one/node-a');
      const two = await connect('store/two/node-a');
      await one.atBoot('on');
      await two.atBoot('on');
      const root = path.join(home, '.cluster-queue');
      assert.equal(await one.atBoot('leave'), 'kept');
      await one.leave();
      one.close();
      assert.equal(await two.atBoot('leave'), 'removed');
      assert.equal(readFileSync(table, 'utf8'), OTHERS);
      await two.leave();
      two.close();
      while (existsSync(root)) await new Promise((resolve) => setTimeout(resolve, 20));
    });

    it('is found in a home of any name', async () => {
      const strange = path.join(dir, `it's 5% of "$HOME"`);
      mkdirSync(strange);
      const local = new LocalTransport('here', {
        ...env,
        HOME: strange,
        PATH: `${bin}:${process.env.PATH ?? ''}`,
        CLUSTER_QUEUE_NODE_ID: 'node-a',
        CLUSTER_QUEUE_LEASES: path.join(dir, 'leases'),
      });
      const before = home;
      home = strange;
      try {
        const session = await open(local, 'store/local/here');
        assert.equal(await session.atBoot('on'), cron);
        const job = await stage(session, 0);
        runAtBoot(table);
        await job.ended;
        assert.equal(await session.atBoot('off'), 'removed');
        assert.equal(readFileSync(table, 'utf8'), OTHERS);
      } finally {
        home = before;
      }
    });
  });
}
