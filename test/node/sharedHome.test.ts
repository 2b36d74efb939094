import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { haveSshd, TestNodes } from '../support/sshd';

describe('nodes with one home', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  for (const relay of ['yes', 'no']) {
    it(`know that from their very first, simultaneous contact on; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
      const nodes = new TestNodes();
      const home = path.join(nodes.dir, 'home');
      mkdirSync(home);
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const name of names) await nodes.add(name, { home, env: { CLUSTER_QUEUE_RELAY: relay } });
      const transports = await Promise.all(
        names.map((name) =>
          SshTransport.connect(name, { configFile: nodes.configFile, prompter: undefined }),
        ),
      );
      try {
        for (let round = 0; round < 10; round++) {
          rmSync(path.join(home, '.cluster-queue', 'work'), { recursive: true, force: true });
          const channels = await Promise.all(transports.map((transport) => transport.exec(SESSION_COMMAND)));
          const sessions = await Promise.all(channels.map((channel) => AgentSession.open(channel)));
          assert.equal(new Set(sessions.map(({ home: id }) => id)).size, 1, `in round ${round}`);
          for (const session of sessions) session.close();
        }
      } finally {
        for (const transport of transports) transport.close();
        await nodes.close();
      }
    });
  }
});
