import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { AgentSession } from '../../src/node';
import { agentOn, untilMet } from '../support/agentOn';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find(existsSync);

describe('a node that has the tools of busybox, bash and no perl', function () {
  if (!haveSshd || BUSYBOX === undefined) return;
  this.timeout(60_000);
  const tools = mkdtempSync(path.join(os.tmpdir(), 'cq-busybox-'));
  const nodes = new TestNodes();
  let node: TestNode;
  let session: AgentSession;
  let close = (): void => undefined;

  const until = (met: () => boolean): Promise<void> => untilMet(met, 1000);

  before(async () => {
    for (const name of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
      symlinkSync(BUSYBOX, path.join(tools, name));
    symlinkSync('/bin/bash', path.join(tools, 'bash'));
    node = await nodes.add('node-a', {
      path: tools,
      env: { CLUSTER_QUEUE_RELAY: 'no' },
      gpus: { name: 'Tesla V100-SXM2-32GB', count: 2 },
    });
    ({ session, close } = await agentOn(nodes, 'node-a'));
  });
  after(async () => {
    close();
    await nodes.close();
    rmSync(tools, { recursive: true });
  });

  it('knows the processes of a job: they are no strangers on a GPU, and a cancel ends them all', async () => {
    const uuid = randomUUID();
    const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
    const run = 'setsid sleep 300 & echo $! >~/away; echo $$ >~/shell; sleep 300';
    await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run, use });
    const pidIn = (name: string): string => {
      const file = path.join(node.home, name);
      return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
    };
    await until(() => pidIn('shell') !== '');
    const pids = [pidIn('away'), pidIn('shell')];
    writeFileSync(
      path.join(nodes.dir, 'node-a', 'bin', 'nvidia-smi.apps'),
      `GPU-node-a-0, ${pids[1] ?? ''}\nGPU-node-a-1, ${process.pid}\n`,
    );
    const { foreign } = await session.probe();
    assert.deepEqual(
      foreign.map(({ gpuUuid }) => gpuUuid),
      ['GPU-node-a-1'],
    );

    await session.cancel(uuid, 1);
    await until(() => existsSync(path.join(node.home, '.cluster-queue', 'node-a', 'jobs', uuid, 'exit')));
    // An orphan may wait for whoever collects it.
    const lives = (pid: string): boolean =>
      existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    assert.deepEqual(pids.filter(lives), []);
  });
});
