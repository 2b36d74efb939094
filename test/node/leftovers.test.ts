import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { AgentSession } from '../../src/node';
import { kill, markedProcesses, processes, supervisorOf } from '../faults/processes';
import { agentOn, untilMet } from '../support/agentOn';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

const shells = ['dash', 'bash', 'busybox'].flatMap((name) => {
  const file = [`/bin/${name}`, `/usr/bin/${name}`].find(existsSync);
  return file === undefined ? [] : [[name, file] as const];
});

for (const [shell, file] of shells) {
  describe(`what jobs leave on a node, by ${shell}`, function () {
    if (!haveSshd) return;
    this.timeout(30_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-left-'));
    const nodes = new TestNodes();
    let node: TestNode;
    let session: AgentSession;
    let close: () => void;

    const at = (...parts: string[]): string => path.join(node.home, '.cluster-queue', 'node-a', ...parts);
    const job = (uuid: string, ...parts: string[]): string => at('jobs', uuid, ...parts);
    const text = (name: string): string => (existsSync(name) ? readFileSync(name, 'utf8') : '');
    const until = (met: () => boolean): Promise<void> => untilMet(met, 250);
    const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
    const start = async (run: string): Promise<string> => {
      const uuid = randomUUID();
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: 'TOKEN=abc\n', run, use });
      return uuid;
    };
    const ended = async (run = 'true'): Promise<string> => {
      const uuid = await start(run);
      await until(() => existsSync(job(uuid, 'exit')) && text(job(uuid, 'env')) === '');
      return uuid;
    };
    const live = async (): Promise<string> => {
      const uuid = await start('echo here; sleep 300');
      await until(() => text(job(uuid, 'run.log')) === 'here\n');
      return uuid;
    };
    const killSupervisor = async (uuid: string): Promise<void> => {
      const supervisor = supervisorOf(node.home, uuid);
      kill(supervisor);
      await until(() => !processes().some(({ pid }) => pid === supervisor));
    };
    const age = (name: string, days: number): void => {
      const then = Date.now() / 1000 - days * 86_400;
      utimesSync(name, then, then);
    };

    before(async () => {
      mkdirSync(path.join(dir, 'bin'));
      symlinkSync(file, path.join(dir, 'bin', 'sh'));
      node = await nodes.add('node-a', { bin: path.join(dir, 'bin') });
      ({ session, close } = await agentOn(nodes, 'node-a'));
    });
    after(async () => {
      close();
      await nodes.close();
      rmSync(dir, { recursive: true });
    });

    it('loses its secrets when a power cut or a kill kept the supervisor from it, and only then', async () => {
      const runs = await live();
      const dead = await live();
      const asked = await live();
      const fresh = randomUUID();
      mkdirSync(job(fresh));
      writeFileSync(job(fresh, 'env'), 'TOKEN=abc\n');
      for (const uuid of [dead, asked]) {
        await killSupervisor(uuid);
        for (const { pid } of markedProcesses(node.home, uuid)) kill(pid);
      }
      const reboot = await live();
      writeFileSync(job(reboot, 'sup'), text(job(reboot, 'sup')).replace(/[0-9a-f-]{36}/, 'another-boot'));
      const half = await live();
      writeFileSync(job(half, 'sup'), '1');
      assert.deepEqual((await session.query([asked])).get(asked), { state: 'dead', cause: 'supervisor' });
      assert.equal(text(job(asked, 'env')), '');
      await session.sweep(14);
      await until(() => text(job(dead, 'env')) === '' && text(job(reboot, 'env')) === '');
      for (const uuid of [runs, fresh, half]) assert.equal(text(job(uuid, 'env')), 'TOKEN=abc\n');
    });

    it('goes some days after a client had all of it, or long after its end; never while it runs', async () => {
      const [toldLongAgo, toldNow, unheard, forgotten] = [
        await ended(),
        await ended('echo a result >~/result; exit 3'),
        await ended(),
        await ended(),
      ];
      const runs = await live();
      await session.told([toldLongAgo, toldNow, runs, 'nobody']);
      assert.ok(!existsSync(job(runs, 'told')), 'what runs cannot be known whole');
      age(job(toldLongAgo, 'told'), 20);
      for (const uuid of [unheard, runs]) age(job(uuid), 60);
      for (const uuid of [forgotten, runs]) age(job(uuid), 100);
      const junk = [
        at('jobs', 'x.dead.7'),
        at('jobs', 'x.busy.7'),
        at('..', 'work', 'new-7'),
        at('..', 'staged', '.new.7'),
        at('..', 'staged', '.gone.7'),
      ];
      for (const name of junk) {
        mkdirSync(path.join(name, 'inner'), { recursive: true });
        age(name, 2);
      }
      const agents = path.join(node.home, '.cluster-queue', 'agent');
      const old = path.join(agents, '00000000.sh');
      const used = path.join(agents, '11111111.sh');
      for (const agent of [old, used]) {
        writeFileSync(agent, 'sleep 300\n');
        mkdirSync(agent.replace('.sh', '.bin'));
        age(agent, 100);
      }
      // A job of an older agent, as that one left it.
      const supervisor = spawn('bash', [used, 'supervise'], { stdio: 'ignore' });
      const { pid } = supervisor;
      assert.ok(pid);
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
      const ofOld = randomUUID();
      mkdirSync(job(ofOld));
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      writeFileSync(job(ofOld, 'sup'), `${pid} ${began} ${boot} 1 .\n`);
      try {
        age(at('swept'), 2);
        await session.sweep(14);
        await until(() =>
          [job(toldLongAgo), job(forgotten), ...junk, old].every((name) => !existsSync(name)),
        );
        await until(() => !existsSync(old.replace('.sh', '.bin')));
        for (const uuid of [toldNow, unheard, runs, ofOld]) assert.ok(existsSync(job(uuid, 'sup')), uuid);
        assert.ok(existsSync(used) && existsSync(used.replace('.sh', '.bin')));
        assert.equal((await session.query([toldNow])).get(toldNow)?.state, 'ended');
      } finally {
        supervisor.kill('SIGKILL');
      }
      // Not again on the same day.
      age(job(toldNow, 'told'), 20);
      const dead = await live();
      await killSupervisor(dead);
      await session.sweep(14);
      await until(() => text(job(dead, 'env')) === '');
      assert.ok(existsSync(job(toldNow)));
    });

    for (const relay of ['yes', 'no']) {
      it(`is no workdir that a job was about to use, nor the name of one that is gone; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
        const name = `work-${relay}`;
        const env = { CLUSTER_QUEUE_RELAY: relay };
        const { home } = await nodes.add(name, { bin: path.join(dir, 'bin'), env });
        const { session: asking, close: end } = await agentOn(nodes, name);
        const [wanted, unwanted, gone] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [
          string,
          string,
          string,
        ];
        const tree = (snapshot: string): string => path.join(home, '.cluster-queue', 'work', snapshot);
        for (const snapshot of [wanted, unwanted]) {
          mkdirSync(tree(snapshot));
          age(tree(snapshot), 20);
        }
        assert.equal(await asking.hasSnapshot(wanted), 'yes');
        assert.notEqual(await asking.hasSnapshot(gone), 'yes');
        await asking.sweep(14);
        await until(() => !existsSync(tree(unwanted)));
        assert.ok(existsSync(tree(wanted)));
        const uuid = randomUUID();
        const ended = new Promise<number>(
          (resolve) => (asking.onEvent = (event) => event.kind === 'ended' && resolve(event.code)),
        );
        const launch = { uuid, leases: [], graceS: 1, hold: false, env: '', run: 'true', use };
        await asking.start({ ...launch, snapshot: gone });
        assert.equal(await ended, 1);
        assert.ok(!existsSync(tree(gone)));
        end();
      });

      it(`goes whole with its cluster, whoever has the number of a session that was killed; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
        const name = `left-${relay}`;
        const { home } = await nodes.add(name, {
          bin: path.join(dir, 'bin'),
          env: { CLUSTER_QUEUE_RELAY: relay },
        });
        const { session: last, close: end } = await agentOn(nodes, name);
        // Its number now has another process, here the test's own.
        const killed = path.join(home, '.cluster-queue', name, 'sessions', String(process.pid));
        mkdirSync(killed);
        spawnSync('mkfifo', [path.join(killed, 'ev')]);
        writeFileSync(path.join(killed, 'start'), '1\n');
        await last.leave();
        end();
        await until(() => !existsSync(path.join(home, '.cluster-queue')));
      });

      it(`goes whole with its cluster when another process has just ended; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
        const name = `ending-${relay}`;
        const { home } = await nodes.add(name, {
          bin: path.join(dir, 'bin'),
          env: { CLUSTER_QUEUE_RELAY: relay },
        });
        const [ending, last] = [await agentOn(nodes, name), await agentOn(nodes, name)];
        await last.session.leave();
        last.close();
        const sessions = path.join(home, '.cluster-queue', name, 'sessions');
        await until(() => readdirSync(sessions).length === 1);
        // That of the one that leaves is through with its first look.
        await new Promise((resolve) => setTimeout(resolve, 500));
        await ending.session.ping();
        ending.close();
        await until(() => !existsSync(path.join(home, '.cluster-queue')));
      });

      it(`goes whole with its cluster also while a probe goes on there; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
        const name = `probed-${relay}`;
        const slow = 'echo probing >"$HOME/probing"; sleep 1; echo probed >"$HOME/probing"';
        const { home } = await nodes.add(name, {
          bin: path.join(dir, 'bin'),
          env: { CLUSTER_QUEUE_RELAY: relay },
          tools: { nproc: slow },
        });
        const last = await agentOn(nodes, name);
        last.session.probe().catch(() => undefined);
        await until(() => text(path.join(home, 'probing')) === 'probing\n');
        await last.session.leave();
        last.close();
        await until(() => !existsSync(path.join(home, '.cluster-queue')));
        const ours = path.join(home, '.cluster-queue', 'agent');
        await until(() => !processes().some(({ command }) => command.includes(ours)));
        assert.ok(!existsSync(path.join(home, '.cluster-queue')));
      });
    }
  });
}
