import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { AgentSession } from '../../src/node';
import { agentOn, untilMet } from '../support/agentOn';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

const GPU = 'GPU-0';
// Says that somebody looks for strangers, who then has to wait.
const SMI = `case "$*" in *--query-compute-apps=*) echo >"$HOME/looks"; until [ -e "$HOME/go" ]; do sleep 0.02; done ;; esac`;

for (const relay of ['yes', 'no']) {
  describe(`the place in the queue that a staged job is given while its node looks for the next; CLUSTER_QUEUE_RELAY=${relay}`, function () {
    if (!haveSshd) return;
    this.timeout(30_000);
    const nodes = new TestNodes();
    let node: TestNode;
    let session: AgentSession;
    let close: () => void;
    const started: string[] = [];

    const until = (met: () => boolean): Promise<void> => untilMet(met, 1_000);
    const stage = async (key: string): Promise<string> => {
      const uuid = randomUUID();
      const want = `machine 127.0.0.1 1000 1000 1:1:1000000000:1:0=${GPU}\n`;
      const more = { graceS: 1, env: '', run: 'true', want, after: [] };
      await session.stage({ name: `${key}-n.class.${uuid}`, ...more });
      return uuid;
    };
    const inOrder = async (...uuids: readonly string[]): Promise<void> => {
      await until(() => started.length >= uuids.length);
      assert.deepEqual(
        started.map((uuid) => uuids.indexOf(uuid)),
        uuids.map((_uuid, index) => index),
      );
    };

    before(async () => {
      const env = { CLUSTER_QUEUE_RELAY: relay };
      node = await nodes.add('node-a', { machine: 'machine', env, tools: { 'nvidia-smi': SMI } });
      ({ session, close } = await agentOn(nodes, 'node-a'));
      session.onEvent = (event) => {
        if (event.kind === 'started') started.push(event.uuid);
      };
    });
    beforeEach(() => void started.splice(0));
    after(async () => {
      close();
      await nodes.close();
    });

    it('is not lost to the next when that is given as the job is about to start', async () => {
      const [first, second] = [await stage('01'), await stage('02')];
      await session.kick();
      await until(() => existsSync(path.join(node.home, 'looks')));
      await session.rekey([[`01-n.class.${first}`, `00-n.class.${first}`]]);
      writeFileSync(path.join(node.home, 'go'), '');
      await inOrder(first, second);
    });

    it('counts for who looks when it is that one’s turn', async () => {
      const lock = path.join(node.home, '.cluster-queue', 'machine', 'runner.lock');
      const holder = spawn('flock', [lock, 'sleep', '60'], { detached: true });
      assert.ok(holder.pid);
      try {
        const seen = (how: string): boolean =>
          existsSync(lock) &&
          new RegExp(`: ${how}.* \\S*:${statSync(lock).ino} `).test(readFileSync('/proc/locks', 'utf8'));
        await until(() => seen('FLOCK'));
        const [second, third, first] = [await stage('01'), await stage('02'), await stage('03')];
        await session.kick();
        await until(() => seen('-> FLOCK'));
        await session.rekey([[`03-n.class.${first}`, `00-n.class.${first}`]]);
        process.kill(-holder.pid);
        await inOrder(first, second, third);
      } finally {
        holder.kill('SIGKILL');
      }
    });
  });
}
