import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { AgentSession } from '../../src/node';
import { agentOn, untilMet } from '../support/agentOn';
import { AGENT_WAYS, SHELL_FUNCTIONS } from '../support/agentWays';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

for (const { file, env, name } of AGENT_WAYS) {
  describe(`a file that cannot be made, or has gone, of an agent ${name}`, function () {
    if (!haveSshd) return;
    this.timeout(30_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-unwritable-'));
    const nodes = new TestNodes();
    let node: TestNode;
    let session: AgentSession;
    let close = (): void => undefined;

    const job = (uuid: string, entry = ''): string =>
      path.join(node.home, '.cluster-queue', 'node-a', 'jobs', uuid, entry);
    const start = async (run: string): Promise<string> => {
      const uuid = randomUUID();
      const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run, use });
      return uuid;
    };
    const until = (met: () => boolean): Promise<void> => untilMet(met, 500);

    before(async () => {
      mkdirSync(path.join(dir, 'bin'));
      symlinkSync(file, path.join(dir, 'bin', 'sh'));
      node = await nodes.add('node-a', { bin: path.join(dir, 'bin'), env });
      ({ session, close } = await agentOn(nodes, 'node-a'));
    });
    after(async () => {
      close();
      await nodes.close();
      rmSync(dir, { recursive: true });
    });

    it('keeps no job from being cancelled', async () => {
      const uuid = await start('sleep 300');
      mkdirSync(job(uuid, 'cancel'));
      await session.cancel(uuid, 1);
      await until(() => existsSync(job(uuid, 'exit')));
      const state = (await session.query([uuid])).get(uuid);
      assert.equal(state?.state === 'ended' && state.how, 'cancelled');
    });

    it('ends no session that was to note something', async () => {
      const uuid = await start('true');
      await until(() => existsSync(job(uuid, 'exit')));
      // As on a disk without room for another name.
      symlinkSync('/nowhere/told', job(uuid, 'told'));
      await session.told([uuid]);
      assert.equal((await session.query([uuid])).get(uuid)?.state, 'ended');
    });

    it('ends no session that was to follow a log', async () => {
      const uuid = randomUUID();
      mkdirSync(job(uuid));
      symlinkSync('/nowhere/log', job(uuid, 'run.log'));
      const lines: string[] = [];
      session.follow(uuid, 0, {
        data: (_at, bytes) => void lines.push(bytes.toString()),
        end: () => undefined,
      });
      assert.equal((await session.query([uuid])).get(uuid)?.state, 'new');
      const other = await start('echo heard');
      session.follow(other, 0, {
        data: (_at, bytes) => void lines.push(bytes.toString()),
        end: () => undefined,
      });
      await until(() => lines.join('') === 'heard\n');
    });

    const sh = (text: string): string => {
      const words = ['-c', `${SHELL_FUNCTIONS}\n${text}`, 'sh'];
      return execFileSync(path.join(dir, 'bin', 'sh'), words, { encoding: 'utf8' });
    };

    it('has no bytes', () => {
      const text = 'size_of /nowhere/log; echo "$SIZE"; size_of /etc/passwd; [ "$SIZE" -gt 0 ] && echo more';
      assert.equal(sh(text), '0\nmore\n');
    });

    it('keeps no line from a reader that is slow while children end', () => {
      const long = 'x'.repeat(10_000);
      // The pipe is full when the lines are printed, and children end while they wait.
      const text = `{ head -c 65536 /dev/zero
        for n in 1 2 3 4 5; do sleep 0.$n & done
        put_line 'D 1 2 3'
        (sleep 0.1) & put_line ${long}; put_line last; } | { sleep 0.8; tail -c +65537; }`;
      const lines = sh(text)
        .split('\n')
        .map((line) => `${line.slice(0, 8)}: ${line.length}`);
      assert.deepEqual(lines, ['D 1 2 3: 7', 'xxxxxxxx: 10000', 'last: 4', ': 0']);
    });
  });
}
