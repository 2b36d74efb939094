import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND, SessionClosedError, type NodeEvent } from '../../src/node';
import { SshTransport, type Transport } from '../../src/transport';
import { AGENT_WAYS } from '../support/agentWays';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

for (const { name, file, env } of AGENT_WAYS) {
  describe(`a client that has stopped reading, of an agent ${name}`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const bin = mkdtempSync(path.join(os.tmpdir(), 'cq-stalled-'));
    const nodes = new TestNodes();
    let node: TestNode;
    const transports: Transport[] = [];
    before(async () => {
      symlinkSync(file, path.join(bin, 'sh'));
      node = await nodes.add('node-a', {
        bin,
        env: { ...env, CLUSTER_QUEUE_MOST_WAITING: '1000000', CLUSTER_QUEUE_STALLED: '1' },
      });
    });
    after(async () => {
      for (const transport of transports) transport.close();
      await nodes.close();
      rmSync(bin, { recursive: true });
    });

    const sessions = (): string => path.join(node.home, '.cluster-queue', 'node-a', 'sessions');
    const connect = async (): Promise<{ session: AgentSession; pid: number }> => {
      const before = existsSync(sessions()) ? readdirSync(sessions()) : [];
      const transport = await SshTransport.connect('node-a', {
        configFile: nodes.configFile,
        prompter: undefined,
      });
      transports.push(transport);
      const session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
      await session.ping();
      const pid = Number(readdirSync(sessions()).find((name) => !before.includes(name)));
      return { session, pid };
    };

    it('holds up no job, and is told to connect anew', async () => {
      const stalled = await connect();
      const program = readFileSync(`/proc/${stalled.pid}/cmdline`, 'utf8');
      assert.match(program, env.CLUSTER_QUEUE_RELAY === 'no' ? /^sh/ : /^perl/);
      const closed = new Promise((resolve) => (stalled.session.onClose = resolve));
      const { session } = await connect();
      const stat = readFileSync(`/proc/${stalled.pid}/stat`, 'utf8');
      const sshd = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const fifo = path.join(sessions(), String(stalled.pid), 'ev');
      process.kill(sshd, 'SIGSTOP');
      // 1.8 MB of events: more than sshd's socket, the FIFO, and what the relay keeps.
      const line = `S ${randomUUID()} 0 1`;
      const push = 'for i in {1..40000}; do [ ! -p "$1" ] || echo "$2" 1<>"$1"; done';
      const flood = spawn('bash', ['-c', push, '', fifo, line], { stdio: 'ignore' });
      const flooded = new Promise((resolve) => flood.once('exit', resolve));
      try {
        await flooded;

        const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
        const left = new Set<string>(Array.from({ length: 20 }, () => randomUUID()));
        const allEnded = new Promise<void>((resolve) => {
          session.onEvent = (event: NodeEvent) => {
            if (event.kind === 'ended') left.delete(event.uuid);
            if (left.size === 0) resolve();
          };
        });
        for (const uuid of left)
          await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run: 'echo here', use });
        await allEnded;
        // Supervisors are through with it when their push is.
        while (supervisors(node.home) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      } finally {
        flood.kill('SIGKILL');
        process.kill(sshd, 'SIGCONT');
      }
      const reason = await closed;
      assert.ok(reason instanceof SessionClosedError, String(reason));
      assert.equal(readdirSync(sessions()).includes(String(stalled.pid)), false);
    });

    for (const removed of [false, true]) {
      it(`leaves no process behind when its session is killed${removed ? ' and its folder removed' : ''}`, async () => {
        const others = agentsOf(node.home);
        const { pid, session } = await connect();
        const uuid = randomUUID();
        session.follow(uuid, 0, { data: () => undefined, end: () => undefined });
        await session.ping();
        const own = agentsOf(node.home).filter((agent) => agent === pid || !others.includes(agent));
        assert.ok(own.includes(pid));
        process.kill(pid, 'SIGKILL');
        if (removed) rmSync(path.join(sessions(), String(pid)), { recursive: true });
        while (agentsOf(node.home).some((agent) => own.includes(agent)))
          await new Promise((resolve) => setTimeout(resolve, 20));
      });
    }
  });
}

function supervisors(home: string): number {
  return commandsBelow(home).filter(({ words }) => words.includes('supervise')).length;
}

/** The processes of sessions of the agent, of whatever kind. */
function agentsOf(home: string): number[] {
  return commandsBelow(home).flatMap(({ pid, words }) => (words.includes('session') ? [pid] : []));
}

function commandsBelow(home: string): { readonly pid: number; readonly words: readonly string[] }[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words.some((word) => word.startsWith(home)) ? [{ pid: Number(name), words }] : [];
    } catch {
      return [];
    }
  });
}
