import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { SshTransport, type Transport } from '../../src/transport';
import { AGENT_WAYS } from '../support/agentWays';
import { numberedBytes, numberedLines, numberedSize } from '../support/numberedLog';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

const LIMIT = 4 << 20;
const LINES = 600_000;
const SIZE = numberedSize(LINES);

interface Followed {
  /** Pieces in order, each with where it began. */
  readonly runs: { readonly from: number; to: number }[];
  readonly size: number;
}

for (const { file, env, name } of AGENT_WAYS) {
  describe(`a log that is too long, of an agent ${name}`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-long-'));
    const nodes = new TestNodes();
    const transports: Transport[] = [];
    let node: TestNode;
    let session: AgentSession;

    const connect = async (): Promise<AgentSession> => {
      const transport = await SshTransport.connect('node-a', {
        configFile: nodes.configFile,
        prompter: undefined,
      });
      transports.push(transport);
      return AgentSession.open(await transport.exec(SESSION_COMMAND));
    };
    before(async () => {
      mkdirSync(path.join(dir, 'bin'));
      symlinkSync(file, path.join(dir, 'bin', 'sh'));
      node = await nodes.add('node-a', {
        bin: path.join(dir, 'bin'),
        env: { ...env, CLUSTER_QUEUE_RETRY_PAUSE: '0', CLUSTER_QUEUE_MOST_OPEN: '2' },
      });
      session = await connect();
      await session.limitLogs(LIMIT);
    });
    after(async () => {
      for (const transport of transports) transport.close();
      await nodes.close();
      rmSync(dir, { recursive: true });
    });

    const folder = (uuid: string): string => path.join(node.home, '.cluster-queue', 'node-a', 'jobs', uuid);
    const start = async (run: string): Promise<string> => {
      const uuid = randomUUID();
      const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run, use });
      return uuid;
    };
    /** Follows from an offset to the end, and holds every byte against what the job wrote. `seen`: called with each end. */
    const follow = (
      by: AgentSession,
      uuid: string,
      offset: number,
      seen?: (to: number) => Promise<void>,
    ): Promise<Followed> => {
      const runs: { from: number; to: number }[] = [];
      return new Promise((resolve, reject) => {
        by.onClose = reject;
        by.follow(uuid, offset, {
          data: (from, bytes) => {
            const last = runs[runs.length - 1];
            const to = from + bytes.length;
            if (Buffer.compare(bytes, numberedBytes({ from, to })) !== 0)
              reject(new Error(`not what was written at ${from}`));
            if (last && from < last.to) reject(new Error(`${from} came again`));
            if (last?.to === from) last.to = to;
            else runs.push({ from, to });
            return seen?.(to);
          },
          end: (size) => resolve({ runs, size }),
        });
      });
    };

    it('keeps its beginning and its end, and never more than it may', async () => {
      const uuid = await start(numberedLines(0, LINES));
      const live = await follow(session, uuid, 0);
      assert.equal(live.size, SIZE);
      assert.equal(live.runs[0]?.from, 0);
      assert.equal(live.runs[live.runs.length - 1]?.to, SIZE);

      const late = await follow(session, uuid, 0);
      const [head, tail] = late.runs;
      assert.ok(head && tail && late.runs.length === 2, JSON.stringify(late));
      assert.deepEqual([head.from, tail.to, late.size], [0, SIZE, SIZE]);
      assert.ok(head.to >= LIMIT / 16 && tail.to - tail.from >= LIMIT / 2, JSON.stringify(late));
      const files = readdirSync(folder(uuid)).filter((entry) => entry.startsWith('run.log'));
      const kept = files.reduce((sum, entry) => sum + statSync(path.join(folder(uuid), entry)).size, 0);
      assert.equal(kept, head.to + tail.to - tail.from);
      assert.ok(kept <= LIMIT, `${kept} bytes are kept`);

      for (const offset of [head.to, head.to + 1, tail.from - 1])
        assert.deepEqual((await follow(session, uuid, offset)).runs, [tail], `from ${offset}`);
      assert.deepEqual((await follow(session, uuid, tail.from + 7)).runs, [
        { from: tail.from + 7, to: tail.to },
      ]);
    });

    it('gives who reads slowly, or came back, what is there by then', async () => {
      const [begun, half] = [path.join(dir, 'begun'), LINES / 2];
      rmSync(begun, { force: true });
      const wait = `until [ -e ${begun} ]; do sleep 0.05; done`;
      const uuid = await start(`${numberedLines(0, half)}; ${wait}; ${numberedLines(half, LINES)}`);
      const slow = await connect();
      const end = SIZE / 2;
      // All of the first half that is kept, and then nothing for as long as the rest is written.
      let written: () => void = () => undefined;
      const rest = new Promise<void>((resolve) => (written = resolve));
      let reading = false;
      const slowly = follow(slow, uuid, 0, async (to) => {
        if (to < end || reading) return;
        reading = true;
        writeFileSync(begun, '');
        await rest;
      });
      const back = follow(session, uuid, end);
      await back;
      written();
      for (const { runs, size } of [await slowly, await back]) {
        assert.equal(size, SIZE);
        assert.equal(runs[runs.length - 1]?.to, SIZE);
      }
    });

    it('may also have no bound', async () => {
      await session.limitLogs(0);
      const uuid = await start(numberedLines(0, LINES));
      assert.deepEqual((await follow(session, uuid, 0)).runs, [{ from: 0, to: SIZE }]);
      await session.limitLogs(LIMIT);
    });

    it('goes on in its newest part when the job is tried again', async () => {
      const uuid = randomUUID();
      const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
      const run = `${numberedLines(0, LINES / 4)} >&1; exit 1`;
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run, use, retries: 1 });
      const pieces: Buffer[] = [];
      await new Promise((resolve) =>
        session.follow(uuid, 0, { data: (_at, bytes) => void pieces.push(Buffer.from(bytes)), end: resolve }),
      );
      const text = Buffer.concat(pieces).toString();
      const last = `line ${String(LINES / 4 - 1).padStart(9, '0')}\n`;
      assert.match(
        text,
        new RegExp(`${last}\\[cluster-queue\\] exit code 1; try 2 of 2 in 0 s\nline 000000000\n`),
      );
      assert.ok(text.endsWith(last));
    });
  });
}
