import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND, type NodeEvent } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

const GPU = 'GPU-0';

describe('a staged job that fits but for somebody else', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-waiter-'));
  const nodes = new TestNodes();
  const looks = path.join(dir, 'looks');
  const strangers = path.join(dir, 'strangers');
  const closers: (() => void)[] = [];

  interface Queue {
    readonly node: TestNode;
    readonly session: AgentSession;
    event(uuid: string, kind: NodeEvent['kind']): Promise<void>;
  }
  let mine: Queue;
  let theirs: Queue;

  const connect = async (name: string): Promise<Queue> => {
    const node = await nodes.add(name, { machine: 'one-machine', bin: path.join(dir, 'bin') });
    const { configFile } = nodes;
    const transport = await SshTransport.connect(name, { configFile, prompter: undefined });
    const session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
    const events: NodeEvent[] = [];
    let heard: () => void = () => undefined;
    session.onEvent = (event) => {
      events.push(event);
      heard();
    };
    closers.push(() => {
      session.close();
      transport.close();
    });
    const event = async (uuid: string, kind: NodeEvent['kind']): Promise<void> => {
      while (!events.some((item) => item.uuid === uuid && item.kind === kind))
        await new Promise<void>((resolve) => (heard = resolve));
    };
    return { node, session, event };
  };
  /** Stages a job of one GPU, or of none; `reserved` for a client that is on to start. */
  const stage = async ({ session }: Queue, gpus: 0 | 1, reserved: boolean): Promise<string> => {
    const uuid = randomUUID();
    const want = `one-machine 127.0.0.1 1000 1000 1:1:${gpus}000000000:${gpus}:${gpus === 0 ? '' : `0=${GPU}`}\n`;
    const name = `0${gpus === 1 ? 0 : 1}-${reserved ? 'a' : 'n'}.class${gpus}.${uuid}`;
    await session.stage({ name, graceS: 1, env: '', run: 'true', want, after: [] });
    await session.kick();
    return uuid;
  };
  const has = async (
    queue: Queue,
    started: NodeEvent['kind'],
  ): Promise<{ uuid: string; end: () => void }> => {
    const uuid = randomUUID();
    const go = path.join(dir, uuid);
    const use = { cpus: 0, kib: 0, units: 1_000_000_000, devices: [0], alternative: 0 };
    const run = `until [ -e ${go} ]; do sleep 0.02; done`;
    await queue.session.start({ uuid, leases: [GPU], graceS: 1, hold: false, env: '', run, use });
    await queue.event(uuid, started);
    return { uuid, end: () => writeFileSync(go, '') };
  };
  const lookTimes = (): number[] =>
    existsSync(looks)
      ? readFileSync(looks, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => Number(line) / 1e6)
      : [];
  const lookedAgain = async (): Promise<void> => {
    for (const before = lookTimes().length; lookTimes().length === before;)
      await new Promise((resolve) => setTimeout(resolve, 20));
  };

  /** Whether a runner waits there, asleep or about to be. Only read: who tries the lock takes it from a runner. */
  const waits = ({ node }: Queue): boolean => {
    const lock = path.join(node.home, '.cluster-queue', 'one-machine', 'waiter.lock');
    return existsSync(lock) && readFileSync('/proc/locks', 'utf8').includes(`:${statSync(lock).ino} `);
  };

  before(async () => {
    mkdirSync(path.join(dir, 'bin'));
    writeFileSync(
      path.join(dir, 'bin', 'nvidia-smi'),
      `#!/bin/sh\ncase "$*" in *--query-compute-apps=*) date +%s%N >> ${looks}; cat ${strangers} 2>/dev/null ;; esac\n`,
      { mode: 0o755 },
    );
    mine = await connect('mine');
    theirs = await connect('theirs');
  });
  after(async () => {
    for (const close of closers) close();
    await nodes.close();
    rmSync(dir, { recursive: true });
  });
  afterEach(() => {
    const times = lookTimes();
    times.forEach((time, index) => {
      const before = times[index - 1];
      // `date` itself takes a while to start, and not always the same.
      if (before !== undefined) assert.ok(time - before > 1_950, `looked again after ${time - before} ms`);
    });
    rmSync(looks, { force: true });
  });

  it('starts when a stranger has left the GPU, which is looked at once in two seconds, whoever asks', async () => {
    writeFileSync(strangers, `${GPU}, ${process.pid}\n`);
    const uuid = await stage(mine, 1, false);
    await lookedAgain();
    for (let kicks = 0; kicks < 10; kicks++) {
      await mine.session.kick();
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    rmSync(strangers);
    const left = Date.now();
    await mine.event(uuid, 'started');
    assert.ok(Date.now() - left < 3_000, `it took ${Date.now() - left} ms`);
  });

  it('starts within two seconds of the end of a colleague’s, also while others wait for a client', async () => {
    await stage(mine, 0, true);
    // A runner waits for the client by now, and looks again in fifteen seconds.
    while (!waits(mine)) await new Promise((resolve) => setTimeout(resolve, 20));
    const colleague = await has(theirs, 'started');
    const uuid = await stage(mine, 1, false);
    // By now it has been looked at, and left to the one that waits.
    await new Promise((resolve) => setTimeout(resolve, 500));
    colleague.end();
    await theirs.event(colleague.uuid, 'ended');
    const ended = Date.now();
    await mine.event(uuid, 'started');
    assert.ok(Date.now() - ended < 2_000, `it took ${Date.now() - ended} ms`);
  });
});
