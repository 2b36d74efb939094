import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
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
import type { Writable } from 'node:stream';
import { AgentSession, SESSION_COMMAND, type NodeEvent, type RankLaunch } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { AGENT_WAYS } from '../support/agentWays';
import { processes } from '../faults/processes';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

const NOTHING = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };

for (const { file, env, name } of AGENT_WAYS) {
  describe(`the node agent, ${name}, over real SSH`, function () {
    if (!haveSshd) return;
    this.timeout(30_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-agent-'));
    const nodes = new TestNodes();
    let node: TestNode;
    let session: AgentSession;
    let stdin: Writable;
    let close: () => void;
    const events: NodeEvent[] = [];
    let heard: () => void = () => undefined;
    // The kernel's own file, but for the count.
    const vmstat = path.join(dir, 'vmstat');
    const oomKills = (count: number): void =>
      writeFileSync(vmstat, `nr_free_pages 4711\noom_kill ${count}\nunevictable_pgs_culled 9\n`);

    const connect = async (): Promise<void> => {
      const transport = await SshTransport.connect('node-a', {
        configFile: nodes.configFile,
        prompter: undefined,
      });
      const channel = await transport.exec(SESSION_COMMAND);
      const opened = await AgentSession.open(channel);
      session = opened;
      ({ stdin } = channel);
      session.onEvent = (event) => {
        events.push(event);
        heard();
      };
      close = () => {
        opened.close();
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
    const nth = async (uuid: string, kind: NodeEvent['kind'], count: number): Promise<void> => {
      while (events.filter((item) => item.uuid === uuid && item.kind === kind).length < count)
        await new Promise<void>((resolve) => (heard = resolve));
    };
    const processesOf = (uuid: string): string[] =>
      execFileSync('sh', ['-c', 'grep -lsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/environ || true'], {
        encoding: 'utf8',
        input: `${uuid}\n`,
      })
        .split('\n')
        .filter((line) => line !== '');
    /** The supervisor goes on for a moment after it has told the end. */
    const nothingOf = async (uuid: string): Promise<void> => {
      while (processesOf(uuid).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    /** The command line of a process, by a file of it in /proc. */
    const commandOf = (file: string): string => {
      try {
        return readFileSync(path.join(path.dirname(file), 'cmdline'), 'utf8');
      } catch {
        return '';
      }
    };
    const start = async (run: string, more: Partial<RankLaunch> = {}): Promise<string> => {
      const uuid = randomUUID();
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run, use: NOTHING, ...more });
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
      node = await nodes.add('node-a', {
        bin: path.join(dir, 'bin'),
        gpus: { name: 'NVIDIA A100-SXM4-80GB', count: 8, memoryMiB: 81920 },
        env: { CLUSTER_QUEUE_RETRY_PAUSE: '1', CLUSTER_QUEUE_VMSTAT_FILE: vmstat, ...env },
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
      assert.deepEqual(await event(uuid, 'started'), { kind: 'started', uuid, age: 0, try: 1 });
      assert.deepEqual(await event(uuid, 'ended'), {
        kind: 'ended',
        uuid,
        code: 7,
        age: 0,
        how: 'exit',
        try: 1,
        next: [],
      });
      assert.equal(await log(uuid), 'a\0b\u00ff\ninteractive\n');
      assert.equal(await log(uuid, 3), '\u00ff\ninteractive\n');
    });

    it('gives a job the umask of the login, and the signals as they are for a person there', async () => {
      const uuid = await start('umask; bash -c "grep SigIgn /proc/self/status"');
      await event(uuid, 'ended');
      const [mask, ignored = ''] = (await log(uuid)).trimEnd().split('\n');
      assert.equal(mask, execFileSync('bash', ['-c', 'umask'], { encoding: 'utf8' }).trimEnd());
      // INT and QUIT.
      assert.equal(Number.parseInt(ignored.replace(/\D*(?=[0-9a-f]+$)/, ''), 16) & 0b110, 0, ignored);
    });

    it('keeps every line of a job that opens its own output anew', async () => {
      const uuid = await start(
        'echo one; echo two >/dev/stderr; echo three | tee /dev/stderr; echo four >/dev/stdout',
      );
      await event(uuid, 'ended');
      assert.equal(await log(uuid), 'one\ntwo\nthree\nthree\nfour\n');
    });

    it('has given a device away as soon as it says so: what is staged after that waits for it', async () => {
      const gpu = 'virtual-after';
      for (let round = 0; round < 10; round++) {
        const first = randomUUID();
        const second = randomUUID();
        const use = { cpus: 0, kib: 0, units: 1_000_000_000, devices: [0], alternative: 0 };
        const want = `${session.node} 127.0.0.1 1000 1000 1:1:1000000000:1:0=${gpu}\n`;
        const job = { graceS: 1, env: '', run: 'true' };
        await Promise.all([
          session.start({ ...job, uuid: first, leases: [gpu], hold: false, use }),
          session.stage({ ...job, name: `00-n.class.${second}`, want, after: [] }),
          session.kick(),
        ]);
        await event(second, 'ended');
        const told = events.filter(({ uuid }) => uuid === first || uuid === second);
        assert.deepEqual(
          told.filter(({ kind }) => kind !== 'taken').map(({ uuid, kind }) => [uuid === first ? 1 : 2, kind]),
          [
            [1, 'started'],
            [1, 'ended'],
            [2, 'started'],
            [2, 'ended'],
          ],
          `round ${round}`,
        );
      }
    });

    it('starts a UUID once, however often it is asked', async () => {
      const launch: RankLaunch = {
        uuid: randomUUID(),
        leases: [],
        graceS: 1,
        hold: false,
        env: '',
        run: 'echo once; sleep 0.3',
        use: NOTHING,
      };
      const answers = await Promise.all(Array.from({ length: 5 }, () => session.start(launch)));
      assert.equal(answers[0]?.state, 'started');
      await event(launch.uuid, 'ended');
      assert.equal((await session.start(launch)).state, 'ended');
      assert.equal(await log(launch.uuid), 'once\n');
    });

    it('leaves nothing that goes on when a session ends, but whoever sleeps for a while', async () => {
      const others = (): string[] =>
        processes()
          .filter(
            ({ environment, command }) =>
              environment.includes(`HOME=${nodes.dir}`) && !/^sleep /.test(command),
          )
          .map(({ command }) => command);
      while (others().some((command) => / (supervise|claimed|runner)/.test(command)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      close();
      while (others().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      await connect();
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
      await session.go(goes, 1);
      assert.equal((await event(goes, 'ended')).code, 0);
      const stays = await start('echo never', { hold: true });
      await event(stays, 'ready');
      await session.cancel(stays, 1);
      assert.equal((await event(stays, 'ended')).how, 'cancelled');
      assert.equal(await log(stays), '');
    });

    it('ends a try whose time is over, with all that it started, and does not try again', async () => {
      const mark = `cqlate${path.basename(dir)}`;
      const uuid = await start(
        `(setsid bash -c 'trap "" TERM; exec -a ${mark} sleep 300' >/dev/null 2>&1 &)\ntrap "" TERM; echo began; sleep 300; sleep 300`,
        { timeoutS: 1, retries: 3 },
      );
      const { how, try: number } = await event(uuid, 'ended');
      assert.deepEqual([how, number], ['timeout', 1]);
      assert.throws(() => execFileSync('pgrep', ['-f', `${mark} 300`]));
      assert.equal(await log(uuid), 'began\n');
      const state = (await session.query([uuid])).get(uuid);
      assert.equal(state?.state === 'ended' && state.how, 'timeout');
    });

    it('leaves nothing of a time limit that was not needed', async () => {
      const uuid = await start('echo quick', { timeoutS: 4321 });
      assert.equal((await event(uuid, 'ended')).how, 'exit');
      await nothingOf(uuid);
    });

    it('runs a failed job again on the devices it holds, and tells each try', async () => {
      const uuid = await start('printf "try $CLUSTER_QUEUE_TRY"; [ "$CLUSTER_QUEUE_TRY" = 3 ] || exit 4', {
        retries: 3,
        leases: ['GPU-3'],
      });
      assert.deepEqual(await event(uuid, 'retrying'), { kind: 'retrying', uuid, try: 2, code: 4, pauseS: 1 });
      const other = await start('echo never', { leases: ['GPU-3'] });
      assert.equal((await event(other, 'busy')).device, 'GPU-3');
      assert.equal((await session.query([uuid])).get(uuid)?.state, 'pausing');
      const { code, try: number } = await event(uuid, 'ended');
      assert.deepEqual([code, number], [0, 3]);
      assert.equal(
        await log(uuid),
        'try 1\n[cluster-queue] exit code 4; try 2 of 4 in 1 s\ntry 2\n[cluster-queue] exit code 4; try 3 of 4 in 2 s\ntry 3',
      );
      const state = (await session.query([uuid])).get(uuid);
      assert.equal(state?.state === 'ended' && state.try, 3);
    });

    it('tells a job that was killed while the kernel killed for want of memory, and no other', async () => {
      const killed = 'kill -KILL $$';
      const counts = (count: number): string => `printf 'a 1\\noom_kill ${count}\\nb 2\\n' >${vmstat}; `;
      oomKills(9);
      for (const [run, how] of [
        [killed, 'exit'],
        [`${counts(10)}${killed}`, 'oom'],
        [killed, 'exit'],
        [`${counts(11)}exit 1`, 'exit'],
        [`echo none >${vmstat}; ${killed}`, 'exit'],
        [`${counts(12)}${killed}`, 'exit'],
      ] as const) {
        const uuid = await start(run);
        assert.equal((await event(uuid, 'ended')).how, how, run);
      }
      const again = await start(`[ "$CLUSTER_QUEUE_TRY" = 2 ] || { ${counts(13)}${killed}; }`, {
        retries: 1,
      });
      const { how, try: number } = await event(again, 'ended');
      assert.deepEqual([how, number], ['exit', 2]);
      assert.equal(await log(again), '[cluster-queue] exit code 137 for want of memory; try 2 of 2 in 1 s\n');
    });

    it('is cancelled at once between two tries', async () => {
      const uuid = await start('exit 1', { retries: 9, env: 'export N=1\n' });
      await event(uuid, 'retrying');
      const began = Date.now();
      await session.cancel(uuid, 5);
      assert.equal((await event(uuid, 'ended')).how, 'cancelled');
      assert.ok(Date.now() - began < 900);
    });

    it('does not let a job that is cancelled go on to its next command', async () => {
      // So many shells that one of them would be told after its command was, if that were left to chance.
      const run = 'for n in $(seq 80); do (sleep 300; echo next) & done; echo began; sleep 300; echo next';
      for (let turn = 0; turn < 3; turn++) {
        const uuid = await start(run);
        while (processesOf(uuid).filter((file) => commandOf(file).startsWith('sleep')).length < 81)
          await new Promise((resolve) => setTimeout(resolve, 20));
        await session.cancel(uuid, 5);
        assert.equal((await event(uuid, 'ended')).how, 'cancelled');
        assert.equal(await log(uuid), 'began\n');
      }
    });

    it('cancels all that are named in one go by one request', async () => {
      const [lives, ends] = [await start('sleep 300'), await start('exit 3')];
      await event(lives, 'started');
      await event(ends, 'ended');
      const unknown = randomUUID();
      const sent: string[] = [];
      const write = stdin.write.bind(stdin);
      stdin.write = ((text: string) => sent.push(text) > 0 && write(text)) as typeof stdin.write;
      const answers = await Promise.all([lives, ends, unknown].map((uuid) => session.cancel(uuid, 1)));
      stdin.write = write;
      assert.deepEqual(
        answers.map(({ state }) => state),
        ['cancelling', 'ended', 'unknown'],
      );
      assert.deepEqual(
        sent.map((line) => line.replace(/^\d+ /, '')),
        [`cancel 1 ${lives} ${ends} ${unknown}\n`],
      );
      assert.equal((await event(lives, 'ended')).how, 'cancelled');
    });

    it('lets a gang’s rank go on to the try of the others, whatever it does', async () => {
      const uuid = await start('echo "try $CLUSTER_QUEUE_TRY"; [ "$CLUSTER_QUEUE_TRY" = 3 ] || sleep 300', {
        hold: true,
        retries: 3,
      });
      await event(uuid, 'ready');
      // It has not heard of its first go, and the others are at their second try.
      await session.again(uuid, 2);
      await nth(uuid, 'ready', 2);
      await session.go(uuid, 1);
      await session.go(uuid, 2);
      await event(uuid, 'started');
      await session.again(uuid, 2);
      await session.again(uuid, 3);
      await nth(uuid, 'ready', 3);
      const state = (await session.query([uuid])).get(uuid);
      assert.ok(state?.state === 'waiting' && state.ready === true && state.try === 3, JSON.stringify(state));
      await session.go(uuid, 3);
      const { code, try: number } = await event(uuid, 'ended');
      assert.deepEqual([code, number], [0, 3]);
      assert.equal(await log(uuid), 'try 2\n[cluster-queue] another rank failed; try 3 of 4 in 2 s\ntry 3\n');
    });

    it('stages a job once, and gives it back whatever its place is called by now', async () => {
      const uuid = randomUUID();
      const want = 'elsewhere 127.0.0.1 1000 1000 1:1:0:0:';
      const stage = (): Promise<unknown> =>
        session.stage({ name: `01-n.aa.${uuid}`, graceS: 1, env: '', run: 'true', want, after: [] });
      assert.deepEqual(await stage(), { state: 'staged' });
      assert.deepEqual(await stage(), { state: 'staged' });
      await session.rekey([[`01-n.aa.${uuid}`, `00-n.aa.${uuid}`]]);
      assert.deepEqual(await session.staged(), [`00-n.aa.${uuid}`]);
      assert.deepEqual((await session.recall([`01-n.aa.${uuid}`])).get(uuid), { state: 'recalled' });
      assert.deepEqual(await session.staged(), []);
      assert.deepEqual((await session.recall([`00-n.aa.${uuid}`])).get(uuid), { state: 'unknown' });
    });

    it('stages a job as it is now, whatever a session that was killed at that has left of it', async () => {
      const uuid = randomUUID();
      const staged = path.join(node.home, '.cluster-queue', 'staged');
      mkdirSync(path.join(staged, `.new.${uuid}`));
      writeFileSync(path.join(staged, `.new.${uuid}`, 'after'), `${randomUUID()}\n`);
      const name = `01-n.aa.${uuid}`;
      const want = 'elsewhere 127.0.0.1 1000 1000 1:1:0:0:';
      await session.stage({ name, graceS: 1, env: '', run: 'true', want, after: [] });
      assert.deepEqual(readdirSync(path.join(staged, name)).sort(), ['env', 'how', 'run', 'want']);
      await session.recall([name]);
    });

    it('takes jobs back that were taken back and staged again a moment before, or as their session was killed', async () => {
      const uuids = Array.from({ length: 150 }, () => randomUUID());
      const name = (uuid: string): string => `01-n.aa.${uuid}`;
      const stage = async (those: readonly string[]): Promise<void> => {
        const want = 'elsewhere 127.0.0.1 1000 1000 1:1:0:0:';
        const one = { graceS: 1, env: 'TOKEN=secret\n', run: 'true', want, after: [] };
        await Promise.all(those.map((uuid) => session.stage({ name: name(uuid), ...one })));
      };
      const takeBack = async (those: readonly string[]): Promise<void> => {
        const states = await session.recall(those.map(name));
        assert.equal(those.filter((uuid) => states.get(uuid)?.state === 'recalled').length, those.length);
      };
      await stage(uuids);
      await takeBack(uuids);
      await stage(uuids);
      const staged = path.join(node.home, '.cluster-queue', 'staged');
      const left = (): string[] => readdirSync(staged).filter((entry) => !entry.startsWith('.'));
      const closeFirst = close;
      const over = new Promise((resolve) => (session.onClose = resolve));
      const recalled = session.recall(uuids.map(name)).then(
        () => true,
        () => true,
      );
      const moment = (): Promise<false> => new Promise((resolve) => setImmediate(() => resolve(false)));
      while (left().length === uuids.length) if (await Promise.race([recalled, moment()])) break;
      for (const pid of readdirSync(path.join(node.home, '.cluster-queue', 'node-a', 'sessions')))
        process.kill(Number(pid), 'SIGTERM');
      await over;
      closeFirst();
      await connect();
      // As an engine does with what a node says that it does not have.
      const there = await session.staged();
      await stage(uuids.filter((uuid) => !there.includes(name(uuid))));
      await takeBack(uuids);
    });

    it('ends the earlier session of the same owner before it answers a new one', async () => {
      const closeFirst = close;
      const over = new Promise((resolve) => (session.onClose = resolve));
      await session.own('store/a b/node-a');
      await connect();
      const others = session.own('store/another/node-a');
      await Promise.all([others, session.own('store/a b/node-a')]);
      await over;
      await session.ping();
      closeFirst();
    });

    it('lets a job be started afresh that a runner died over', async () => {
      const claimed = (more: Record<string, string>): string => {
        const uuid = randomUUID();
        const folder = path.join(nodes.dir, 'node-a', 'home', '.cluster-queue', 'node-a', 'jobs', uuid);
        mkdirSync(folder);
        for (const [name, text] of Object.entries({ env: '', run: 'true\n', want: '', ...more }))
          writeFileSync(path.join(folder, name), text);
        return uuid;
      };
      // Before and after it came to name the supervisor that it had spawned.
      for (const uuid of [
        claimed({ 'sup.node-a': `999999999 1 ${session.boot} 0 .\n` }),
        claimed({ 'sup.node-a': `${process.pid} 1 ${session.boot} 0 .\n` }),
      ]) {
        assert.deepEqual((await session.query([uuid])).get(uuid), { state: 'unknown' });
        await start('exit 4', { uuid });
        assert.equal((await event(uuid, 'ended')).code, 4);
      }
    });

    it('ends with the job whatever the job left behind', async () => {
      const mark = `cqleft${path.basename(dir)}`;
      const uuid = await start(
        `(setsid bash -c 'exec -a ${mark} sleep 300' >/dev/null 2>&1 &)\nwhile ! pgrep -f ${mark} >/dev/null; do sleep 0.02; done; echo done`,
      );
      assert.equal((await event(uuid, 'ended')).code, 0);
      assert.throws(() => execFileSync('pgrep', ['-f', `${mark} 300`]));
    });

    it('tells the end of a job that ends all of its process group', async () => {
      const uuid = await start(`trap 'trap - TERM; kill 0' EXIT\nsleep 300 &\necho said; exit 3`);
      assert.equal((await event(uuid, 'ended')).how, 'exit');
      assert.equal(await log(uuid), 'said\n');
      await nothingOf(uuid);
    });

    it('finds GPUs, cpus and its own address', async () => {
      const facts = await session.probe();
      assert.equal(facts.gpus.length, 8);
      assert.deepEqual(facts.gpus[3], {
        index: 3,
        uuid: 'GPU-node-a-3',
        name: 'NVIDIA A100-SXM4-80GB',
        memoryMiB: 81920,
      });
      assert.equal(facts.ip, node.address);
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
