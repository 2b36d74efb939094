import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { AGENT_WAYS } from '../support/agentWays';
import { haveSshd, TestNodes } from '../support/sshd';

const LINES = 20_000;
// Fills the disk, has it full for some seconds, and writes all the time.
const FILL = `head -c 4M /dev/zero >~/filler 2>/dev/null
(sleep 3; rm ~/filler) & for i in $(seq ${LINES}); do echo "line $i of the log"; done; wait`;
/** What dd reads at once, in the agent without perl. */
const BLOCK = 65_536;

for (const { file, env, name } of AGENT_WAYS) {
  describe(`a disk that is full while a job writes, with an agent ${name}`, function () {
    if (!haveSshd || process.getuid?.() !== 0) return;
    this.timeout(60_000);
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-full-'));
    const home = path.join(dir, 'home');
    const nodes = new TestNodes();
    before(async () => {
      mkdirSync(path.join(dir, 'bin'));
      symlinkSync(file, path.join(dir, 'bin', 'sh'));
      mkdirSync(home);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', home]);
      await nodes.add('node-a', { bin: path.join(dir, 'bin'), home, env });
    });
    after(async () => {
      await nodes.close();
      execFileSync('umount', ['-l', home]);
      rmSync(dir, { recursive: true });
    });

    const perl = env.CLUSTER_QUEUE_RELAY === undefined;
    it(perl ? 'costs no line' : 'costs what was on its way to it at most, and the log says so', async () => {
      const transport = await SshTransport.connect('node-a', {
        configFile: nodes.configFile,
        prompter: undefined,
      });
      const session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
      const unwritten: boolean[] = [];
      session.onEvent = (event) => {
        if (event.kind === 'unwritten' && event.uuid === uuid) unwritten.push(event.unwritten);
      };
      const uuid = randomUUID();
      const use = { cpus: 0, kib: 0, units: 0, devices: [], alternative: 0 };
      await session.start({ uuid, leases: [], graceS: 1, hold: false, env: '', run: FILL, use });
      const parts: Buffer[] = [];
      await new Promise<number>((end) =>
        session.follow(uuid, 0, { data: (_at, bytes) => void parts.push(Buffer.from(bytes)), end }),
      );
      session.close();
      transport.close();
      assert.deepEqual(unwritten, [true, false]);
      const log = Buffer.concat(parts).toString('latin1');
      const all = Array.from({ length: LINES }, (_, index) => `line ${index + 1} of the log\n`).join('');
      const notice = /\n\[cluster-queue\] the log could not be written [^\n]*: lines are missing here\n/;
      const [before = '', rest, ...more] = log.split(notice);
      assert.deepEqual(more, [], 'the disk was full once');
      assert.ok(all.startsWith(before));
      if (rest === undefined || perl) {
        assert.equal(log, all);
        return;
      }
      assert.ok(all.endsWith(rest));
      const lost = all.length - before.length - rest.length;
      assert.ok(lost > 0 && lost <= BLOCK, `${lost} bytes are missing`);
    });
  });
}
