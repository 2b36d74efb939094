import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { nodesOf, openQueue, type Queue } from '../../src/control';
import type { Prompter } from '../../src/transport';
import { endOf } from '../support/queues';
import { haveSshd, TestNodes } from '../support/sshd';
import { taskOf } from '../support/world';

describe('a node that wants a person while nobody is there', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const nodes = new TestNodes();
  const queues: Queue[] = [];
  const asked: string[] = [];
  const never = (): never => assert.fail('asked for something else');
  const person: Prompter = {
    passphrase: (file) => {
      asked.push(path.basename(file));
      return Promise.resolve({ text: 'sesame' });
    },
    password: never,
    answer: never,
    trustHost: never,
  };
  const open = async (prompter?: Prompter): Promise<Queue> => {
    const queue = await openQueue({
      home: path.join(nodes.dir, 'state'),
      version: 'test',
      sshConfigFile: nodes.configFile,
      graceS: 1,
      ...(prompter && { prompter }),
    });
    queues.push(queue);
    return queue;
  };
  const link = (queue: Queue, name: string) =>
    queue.view('c')?.nodes.find((node) => node.name === name)?.link ?? { state: 'idle' as const };
  const until = (queue: Queue, met: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!met()) return;
        stop();
        resolve();
      };
      const stop = queue.onDidChange(check);
      check();
    });

  before(async () => {
    const key = path.join(nodes.dir, 'locked');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'sesame', '-f', key]);
    for (const name of ['node-a', 'node-b']) {
      await nodes.add(name);
      const plain = name === 'node-b' ? readFileSync(`${nodes.userKey}.pub`, 'utf8') : '';
      writeFileSync(
        path.join(nodes.dir, name, 'authorized_keys'),
        `${readFileSync(`${key}.pub`, 'utf8')}${plain}`,
      );
    }
    nodes.configure(`Host node-a node-b\n  IdentityFile ${key}\n  IdentityAgent none`);
  });
  after(async () => {
    for (const queue of queues.reverse()) await queue.close();
    await nodes.close();
  });

  it('is said to want one, and another way in is taken where there is one', async () => {
    const host = await open();
    await host.addCluster({ name: 'c', nodes: nodesOf(['node-a', 'node-b']) });
    await until(host, () => link(host, 'node-b').state === 'up' && link(host, 'node-a').state === 'down');
    const state = link(host, 'node-a');
    assert.match(
      state.state === 'down' ? state.message : '',
      /node-a was not logged in to: \S+locked has a passphrase, and nobody could be asked for it.*ssh-add \S+locked/,
    );
    // Who cannot answer does not have it tried again.
    host.connect('c');
    assert.equal(link(host, 'node-a').state, 'down');
  });

  it('is logged in to when somebody comes, once, and goes on when they have gone', async () => {
    const [host] = queues;
    assert.ok(host);
    const window = await open(person);
    assert.equal(window.role, 'client');
    window.connect('c');
    await until(window, () => link(window, 'node-a').state === 'up');
    assert.deepEqual(asked, ['locked']);
    await window.close();
    queues.pop();
    // The key stays open as long as the process that has the queue.
    const node = nodes.find('node-a');
    await node.crash();
    await until(host, () => link(host, 'node-a').state === 'down');
    await node.start();
    await until(host, () => link(host, 'node-a').state === 'up');
    assert.deepEqual(asked, ['locked']);
    const { id } = await host.submit(taskOf('num_nodes: 2\nrun: echo'), { cluster: 'c', user: 'me' });
    assert.equal((await endOf(host, 'c', id)).status, 'SUCCEEDED');
  });
});
