import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { processes } from '../faults/processes';
import { agentOn, untilMet } from '../support/agentOn';
import { haveSshd, TestNodes } from '../support/sshd';

/** Waits for the test's word, and says that it does. */
const NPROC = 'echo >>"$HOME/asked"; until [ -e "$HOME/go" ]; do sleep 0.02; done; echo 2';

describe('what a node is asked in the background', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const nodes = new TestNodes();
  after(() => nodes.close());

  it('is answered each, also when the answers of several come in one moment', async () => {
    const { home } = await nodes.add('node-a', { tools: { nproc: NPROC } });
    const asked = path.join(home, 'asked');
    writeFileSync(asked, '');
    const { session, close } = await agentOn(nodes, 'node-a');
    const [pid = ''] = readdirSync(path.join(home, '.cluster-queue', 'node-a', 'sessions'));
    const probes = [1, 2, 3].map(() => session.probe());
    await untilMet(() => readFileSync(asked, 'utf8') === '\n\n\n', 500);
    process.kill(Number(pid), 'SIGSTOP');
    try {
      writeFileSync(path.join(home, 'go'), '');
      await untilMet(() => !processes().some(({ parent }) => parent === Number(pid)), 500);
    } finally {
      process.kill(Number(pid), 'SIGCONT');
    }
    for (const facts of await Promise.all(probes)) assert.equal(facts.cpus, 2);
    await session.ping();
    close();
  });
});
