import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openQueue, type Queue } from '../../src/control';
import type { NodeDefinition } from '../../src/cluster';
import { SecretKeeper, type KeepAnswer } from '../../src/window/secretKeeper';
import type { Prompter } from '../../src/transport';
import { keptIn } from '../support/kept';
import { passwordNode, type PasswordNode } from '../support/passwordNode';
import { haveSshd, TestNodes } from '../support/sshd';
import { Members } from './members';

const PASSWORD = 'pw-of-alice-5309';
const BOB = 'pw-of-bob-8421';
const PASSPHRASE = 'phrase-of-the-key-7777';

describe('passphrases and passwords that are kept', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const nodes = new TestNodes();
  let alice: PasswordNode;
  let bob: PasswordNode;
  let key = '';
  const homes: string[] = [];
  const queues: Queue[] = [];
  const kept = keptIn();

  before(async () => {
    alice = await passwordNode(nodes, 'alice', PASSWORD);
    bob = await passwordNode(nodes, 'bob', BOB, 'keyboard-interactive');
    const locked = await nodes.add('locked');
    key = path.join(nodes.dir, 'locked-key');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', PASSPHRASE, '-f', key]);
    spawnSync('cp', [`${key}.pub`, path.join(nodes.dir, 'locked', 'authorized_keys')]);
    nodes.configure(
      [
        `Host alices\n  HostName ${alice.address}\n  Port ${alice.port}\n  User alice`,
        `Host bobs\n  HostName ${bob.address}\n  Port ${bob.port}\n  User bob`,
        `Host by-key\n  HostName ${locked.address}\n  Port ${locked.port}\n  IdentityFile ${key}`,
      ].join('\n\n'),
    );
  });
  afterEach(async () => {
    for (const queue of queues.splice(0)) await queue.close();
  });
  after(async () => {
    alice.close();
    bob.close();
    await nodes.close();
    for (const home of homes) rmSync(home, { recursive: true, force: true });
  });

  /** A window of its own: what was typed there before is not known. */
  const person = (
    typing: string[],
    answer: KeepAnswer,
  ): Prompter & { asked: string[]; offered: string[] } => {
    const asked: string[] = [];
    const offered: string[] = [];
    const keeper = new SecretKeeper(kept.secrets, kept.memory, {
      ask: (name, node, refused) => {
        asked.push(`${name.kind} ${node}${refused ? ', the kept one was refused' : ''}`);
        return Promise.resolve(typing.shift());
      },
      offer: (name) => {
        offered.push(name.kind === 'passphrase' ? name.file : `${name.user}@${name.node}`);
        return Promise.resolve(answer);
      },
      failed: (error) => assert.fail(String(error)),
    });
    return {
      asked,
      offered,
      passphrase: (file, node) => keeper.give({ kind: 'passphrase', file }, node),
      password: (user, node) => keeper.give({ kind: 'password', user, node }, node),
      answer: () => assert.fail('asked something else'),
      trustHost: () => assert.fail('asked for trust'),
    };
  };
  const home = (): string => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-secrets-'));
    homes.push(dir);
    return dir;
  };
  const open = async (prompter: Prompter, at = home(), version = 'test'): Promise<Queue> => {
    const queue = await openQueue({ home: at, version, sshConfigFile: nodes.configFile, prompter });
    queues.push(queue);
    return queue;
  };
  const nodesAt = (...names: string[]): NodeDefinition[] =>
    names.map((name) => ({ name, destination: name }));
  /** Resolves to each node's state, or why it is down, when all were tried. */
  const tried = (queue: Queue, cluster: string): Promise<string[]> =>
    new Promise((resolve) => {
      const check = (): void => {
        const links = queue.view(cluster)?.nodes.map(({ link }) => link) ?? [];
        if (links.length === 0 || links.some(({ state }) => state === 'connecting' || state === 'idle'))
          return;
        stop();
        resolve(links.map((link) => (link.state === 'down' ? link.message : link.state)));
      };
      const stop = queue.onDidChange(check);
      check();
    });
  const all = ['alices', 'bobs', 'by-key'];

  it('are typed once, kept when they worked, and written down nowhere', async () => {
    const first = person([PASSWORD, BOB, PASSPHRASE], 'keep');
    const queue = await open(first);
    await queue.addCluster({ name: 'one', nodes: nodesAt('alices') });
    assert.deepEqual(await tried(queue, 'one'), ['up']);
    await queue.addCluster({ name: 'two', nodes: nodesAt('bobs') });
    assert.deepEqual(await tried(queue, 'two'), ['up']);
    await queue.addCluster({ name: 'three', nodes: nodesAt('by-key') });
    assert.deepEqual(await tried(queue, 'three'), ['up']);
    assert.deepEqual(first.asked, ['password alices', 'password bobs', 'passphrase by-key']);
    assert.deepEqual(first.offered, ['alice@alices', 'bob@bobs', key]);
    assert.deepEqual(kept.plain(), []);
    await queue.close();
    const found = spawnSync('grep', [
      '-rlaE',
      `${PASSWORD}|${BOB}|${PASSPHRASE}`,
      ...homes,
      alice.home,
      bob.home,
      path.join(nodes.dir, 'locked'),
    ]);
    assert.equal(found.stdout.toString(), '');
  });

  it('log in without a question later, also for an engine in another process', async () => {
    const later = person([], 'keep');
    const queue = await open(later);
    await queue.addCluster({ name: 'all', nodes: nodesAt(...all) });
    assert.deepEqual(await tried(queue, 'all'), ['up', 'up', 'up']);
    const members = new Members('state', nodes.configFile);
    try {
      await (
        await members.open('test')
      ).opened;
      const client = await open(later, members.home);
      assert.equal(client.role, 'client');
      await client.addCluster({ name: 'all', nodes: nodesAt(...all) });
      assert.deepEqual(await tried(client, 'all'), ['up', 'up', 'up']);
      await client.close();
    } finally {
      await members.close();
    }
    assert.deepEqual([later.asked, later.offered], [[], []]);
  });

  it('are forgotten when they are refused, asked for once more, and no error has them in it', async () => {
    alice.password = 'changed-1';
    const members = new Members('state', nodes.configFile);
    try {
      await members.open('test');
      const declining = person(['wrong', 'wrong too'], 'keep');
      const queue = await open(declining, members.home);
      await queue.addCluster({ name: 'one', nodes: nodesAt('alices') });
      const [words = ''] = await tried(queue, 'one');
      assert.match(words, /alices refused to log in alice \(tried: .*password/);
      assert.doesNotMatch(words, /wrong|pw-of/);
      assert.deepEqual(declining.asked, [
        'password alices, the kept one was refused',
        'password alices, the kept one was refused',
      ]);
      assert.deepEqual(alice.tried.slice(-3), [PASSWORD, 'wrong', 'wrong too']);
      assert.deepEqual(declining.offered, []);
      assert.deepEqual(Object.keys(kept.all() as object), ['password bob@bobs', `passphrase ${key}`]);
      await queue.close();
    } finally {
      await members.close();
    }
    spawnSync('ssh-keygen', ['-q', '-p', '-P', PASSPHRASE, '-N', 'new-phrase', '-f', key]);
    const anew = person(['changed-1', 'new-phrase'], 'keep');
    const queue = await open(anew);
    await queue.addCluster({ name: 'one', nodes: nodesAt('alices') });
    assert.deepEqual(await tried(queue, 'one'), ['up']);
    await queue.addCluster({ name: 'three', nodes: nodesAt('by-key') });
    assert.deepEqual(await tried(queue, 'three'), ['up']);
    assert.deepEqual(anew.asked, ['password alices', 'passphrase by-key, the kept one was refused']);
    assert.deepEqual(kept.all(), {
      'password bob@bobs': BOB,
      'password alice@alices': 'changed-1',
      [`passphrase ${key}`]: 'new-phrase',
    });
    assert.ok(!readFileSync(nodes.configFile, 'utf8').includes('changed-1'));
  });
});
