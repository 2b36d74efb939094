import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND, type NodeEvent, type RankLaunch } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { haveSshd, TestNodes } from '../support/sshd';

const shells = ['dash', 'bash', 'busybox'].flatMap((name) => {
  const file = [`/bin/${name}`, `/usr/bin/${name}`].find(existsSync);
  return file === undefined ? [] : [[name, file] as const];
});

for (const [shell, file] of shells) {
  describe(`the node agent, run by ${shell}, over real SSH`, function () {
    if (!haveSshd) return;
    this.timeout(30_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-agent-'));
    const nodes = new TestNodes();
    let session: AgentSession;
    let close: () => void;
    const events: NodeEvent[] = [];
    let heard: () => void = () => undefined;

    const connect = async (): Promise<void> => {
      const transport = await SshTransport.connect('node-a', {
        configFile: nodes.configFile,
        prompter: undefined,
      });
      session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
      session.onEvent = (event) => {
        events.push(event);
        heard();
      };
      close = () => {
        session.close();
        transport.close();
      };
    };
    const event = async <K extends NodeEvent['kind']>(
      uuid: string,
      kind: K,
    ): Promise<Extract<NodeEvent, { kind: K }>> => {
      for (;;) {
        const found = events.find(
          (item): item is Extract<NodeEvent, { kind: K }> => item.uuid === uuid && item.kind === kind,
        );
        if (found) return found;
        await new Promise<void>((resolve) => (heard = resolve));
      }
    };
    const start = async (run: string, more: Partial<RankLaunch> = {}): Promise<string> => {
      const uuid = randomUUID();
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run, ...more });
      return uuid;
    };
    const log = async (uuid: string, offset = 0): Promise<string> => {
      const parts: Buffer[] = [];
      await new Promise<number>((resolve) =>
        session.follow(uuid, offset, {
          data: (_at, bytes) => void parts.push(Buffer.from(bytes)),
          end: resolve,
        }),
      );
      return Buffer.concat(parts).toString('latin1');
    };

    before(async () => {
      mkdirSync(path.join(dir, 'bin'));
      symlinkSync(file, path.join(dir, 'bin', 'sh'));
      await nodes.add('node-a', {
        bin: path.join(dir, 'bin'),
        gpus: { name: 'NVIDIA A100-SXM4-80GB', count: 8, memoryMiB: 81920 },
      });
      await connect();
    });
    after(async () => {
      close();
      await nodes.close();
      rmSync(dir, { recursive: true });
    });

    it('runs a job by bash -i, tells its begin and end, and keeps its bytes', async () => {
      const uuid = await start(`printf 'a\\0b\\377\\n'; case $- in *i*) echo interactive;; esac; exit 7`);
      assert.deepEqual(await event(uuid, 'started'), { kind: 'started', uuid, age: 0 });
      assert.deepEqual(await event(uuid, 'ended'), { kind: 'ended', uuid, code: 7, age: 0, how: 'exit' });
      assert.equal(await log(uuid), 'a\0b\u00ff\ninteractive\n');
      assert.equal(await log(uuid, 3), '\u00ff\ninteractive\n');
    });

    it('starts a UUID once, however often it is asked', async () => {
      const launch: RankLaunch = {
        uuid: randomUUID(),
        leases: [],
        graceS: 1,
        hold: false,
        env: '',
        run: 'echo once; sleep 0.3',
      };
      const answers = await Promise.all(Array.from({ length: 5 }, () => session.start(launch)));
      assert.equal(answers[0]?.state, 'started');
      await event(launch.uuid, 'ended');
      assert.equal((await session.start(launch)).state, 'ended');
      assert.equal(await log(launch.uuid), 'once\n');
    });

    it('keeps a job whose session is gone, and says afterwards what became of it', async () => {
      const lives = await start('sleep 30');
      const ends = await start('sleep 0.5; exit 3');
      await event(ends, 'started');
      close();
      await new Promise((resolve) => setTimeout(resolve, 1200));
      await connect();
      const unknown = randomUUID();
      const states = await session.query([lives, ends, unknown]);
      assert.equal(states.get(lives)?.state, 'running');
      const ended = states.get(ends);
      assert.equal(ended?.state === 'ended' && ended.code, 3);
      assert.deepEqual(states.get(unknown), { state: 'unknown' });
      await session.cancel(lives, 0);
      assert.equal((await event(lives, 'ended')).how, 'cancelled');
    });

    it('leases eight devices at once, refuses each of them to others, and frees them at the end', async () => {
      const names = Array.from({ length: 8 }, (_, index) => `GPU-${index}`);
      const first = await start('sleep 30', { leases: names });
      await event(first, 'started');
      for (const name of ['GPU-0', 'GPU-7']) {
        const other = await start('echo never', { leases: [name] });
        assert.equal((await event(other, 'busy')).device, name);
        assert.deepEqual((await session.query([other])).get(other), { state: 'unknown' });
      }
      await session.cancel(first, 0);
      await event(first, 'ended');
      const next = await start('echo now', { leases: ['GPU-7'] });
      assert.equal((await event(next, 'ended')).code, 0);
    });

    it('holds a gang’s rank until it is told to go, or gives up', async () => {
      const goes = await start('echo gone', { hold: true });
      await event(goes, 'ready');
      await session.go(goes);
      assert.equal((await event(goes, 'ended')).code, 0);
      const stays = await start('echo never', { hold: true });
      await event(stays, 'ready');
      await session.cancel(stays, 1);
      assert.equal((await event(stays, 'ended')).how, 'cancelled');
      assert.equal(await log(stays), '');
    });

    it('ends with the job whatever the job left behind', async () => {
      const mark = `cqleft${process.pid}${shell}`;
      const uuid = await start(
        `(setsid bash -c 'exec -a ${mark} sleep 300' >/dev/null 2>&1 &)\nwhile ! pgrep -f ${mark} >/dev/null; do sleep 0.02; done; echo done`,
      );
      assert.equal((await event(uuid, 'ended')).code, 0);
      assert.throws(() => execFileSync('pgrep', ['-f', `${mark} 300`]));
    });

    it('finds GPUs, cpus and its own address', async () => {
      const facts = await session.probe();
      assert.equal(facts.gpus.length, 8);
      assert.deepEqual(facts.gpus[3], {
        index: 3,
        uuid: 'GPU-node-a-3',
        name: 'NVIDIA A100-SXM4-80GB',
        memoryMiB: 81920,
        usedMiB: 0,
      });
      assert.equal(facts.ip, '127.0.0.2');
      assert.equal(facts.bash, true);
      assert.ok(facts.cpus >= 1 && facts.memoryMiB > 100);
    });

    it('passes on a log of many megabytes and long lines whole, while it grows', async () => {
      const uuid = await start('head -c 9000000 /dev/zero | tr "\\0" x; echo; sleep 0.1; seq 1 100000');
      const text = await log(uuid);
      assert.equal(text.length, 9_000_001 + 588_895);
      assert.ok(text.endsWith('\n99999\n100000\n'));
    });
  });
}
