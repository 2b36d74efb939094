import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { haveSshd, TestNodes } from '../support/sshd';

describe('nodes with one home', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  for (const relay of ['yes', 'no']) {
    it(`put what is mounted there one after the other; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
      await withSessions(relay, async ({ home, open }) => {
        const sessions = await open();
        const mount = path.join(home, '.cluster-queue', 'work', 'f'.repeat(32));
        mkdirSync(mount);
        writeFileSync(path.join(mount, '.cluster-queue-file'), 'rows');
        await Promise.all(sessions.map((session) => session.place(path.basename(mount), '~/data')));
        assert.equal(readFileSync(path.join(home, 'data'), 'utf8'), 'rows');
        assert.ok(!existsSync(path.join(home, 'busy')));
        await assert.rejects(
          sessions[0]?.place(path.basename(mount), '/proc/data') ?? Promise.resolve(),
          /\/proc\/data/,
        );
      });
    });

    it(`know that from their very first, simultaneous contact on; CLUSTER_QUEUE_RELAY=${relay}`, async () => {
      await withSessions(relay, async ({ home, open }) => {
        for (let round = 0; round < 10; round++) {
          rmSync(path.join(home, '.cluster-queue', 'work'), { recursive: true, force: true });
          const sessions = await open();
          assert.equal(new Set(sessions.map(({ home: id }) => id)).size, 1, `in round ${round}`);
          for (const session of sessions) session.close();
        }
      });
    });
  }
});

// As cp where another makes the same file at the same moment.
const CP = `mkdir "$HOME/busy" || exit; sleep 0.05; /bin/cp "$@"; code=$?; rmdir "$HOME/busy"; exit $code`;

/** Six nodes with one home; `open` opens a session with each, all at once. */
async function withSessions(
  relay: string,
  test: (world: { home: string; open: () => Promise<AgentSession[]> }) => Promise<void>,
): Promise<void> {
  const nodes = new TestNodes();
  const home = path.join(nodes.dir, 'home');
  mkdirSync(home);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const env = { CLUSTER_QUEUE_RELAY: relay };
  for (const name of names) await nodes.add(name, { home, env, tools: { cp: CP } });
  const transports = await Promise.all(
    names.map((name) => SshTransport.connect(name, { configFile: nodes.configFile, prompter: undefined })),
  );
  try {
    const open = async (): Promise<AgentSession[]> => {
      const channels = await Promise.all(transports.map((transport) => transport.exec(SESSION_COMMAND)));
      return Promise.all(channels.map((channel) => AgentSession.open(channel)));
    };
    await test({ home, open });
  } finally {
    for (const transport of transports) transport.close();
    await nodes.close();
  }
}
