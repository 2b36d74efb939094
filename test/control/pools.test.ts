import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  faultWords,
  launch,
  nodesOfTask,
  openQueue,
  poolNodes,
  poolsOfTask,
  readPools,
  type Queue,
} from '../../src/control';
import { passwordNode, type PasswordNode } from '../support/passwordNode';
import { endOf, wholeLog } from '../support/queues';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';
import { taskOf } from '../support/world';

describe('clusters of node pools', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const home = mkdtempSync(path.join(os.tmpdir(), 'cq-pools-'));
  const state = path.join(home, 'state');
  const file = path.join(home, 'pools.yaml');
  const nodes = new TestNodes();
  let queue: Queue;
  let keyed: TestNode;
  let open: PasswordNode;
  let asking: PasswordNode;

  before(async () => {
    const gpus = { name: 'Tesla V100-SXM2-32GB', count: 8, memoryMiB: 32768 };
    keyed = await nodes.add('keyed', { gpus });
    await nodes.add('named');
    open = await passwordNode(nodes, 'alice', 'right-and-secret');
    asking = await passwordNode(nodes, 'bob', 'another-secret', 'keyboard-interactive');
    // Only the pool's own key opens the first; the ssh config's is not enough.
    const key = path.join(nodes.dir, 'pool_key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    copyFileSync(`${key}.pub`, path.join(nodes.dir, 'keyed', 'authorized_keys'));
    writeFileSync(
      file,
      `by-key:
  identity_file: ${key}
  hosts:
    - ip: ${keyed.address}
      port: ${keyed.port}
      devices: [5, 0, 7, 3]
      cpus: 6
      memory: 64
by-password:
  user: alice
  password: right-and-secret
  hosts:
    - ip: ${open.address}
      port: ${open.port}
      gpus: V100:2
      virtual: true
    - {ip: ${asking.address}, port: ${asking.port}, user: bob, password: another-secret}
by-config:
  user: nobody-there
  identity_file: /nowhere/key
  hosts: [named]
`,
    );
    queue = await openQueue({ home: state, version: 'test', sshConfigFile: nodes.configFile, graceS: 1 });
  });
  after(async () => {
    await queue.close();
    open.close();
    asking.close();
    await nodes.close();
    rmSync(home, { recursive: true, force: true });
  });

  const go = async (name: string, pool: string, yaml: string): Promise<string[]> => {
    const said: string[] = [];
    await launch(
      queue,
      { name, nodes: await poolNodes(file, pool), task: taskOf(yaml), user: 'me' },
      { say: (words) => said.push(words), signal: new AbortController().signal },
    );
    return said;
  };
  const ended = async (cluster: string, id: number): Promise<string> =>
    (await endOf(queue, cluster, id)).status;
  const log = (cluster: string, id: number): Promise<string> => wholeLog(queue, cluster, id);

  it("logs in with the pool's key, and gives out its devices in the order of preference", async () => {
    await go('by-key', 'by-key', 'resources: {accelerators: "V100:2"}\nrun: echo "$CUDA_VISIBLE_DEVICES"');
    assert.equal(await ended('by-key', 1), 'SUCCEEDED');
    assert.equal(await log('by-key', 1), '0,5\n');
    const inventory = queue.definition('by-key').nodes[0]?.inventory;
    assert.deepEqual(
      inventory?.devices.map(({ index }) => index),
      [5, 0, 7, 3],
    );
    assert.deepEqual([inventory.cpus, inventory.memoryMiB], [6, 65536]);
  });

  it('are those that a task’s infra names, of all its alternatives and each host once', async () => {
    const named = taskOf(
      'resources: {any_of: [{infra: ssh/by-config}, {infra: SSH/by-key}, {infra: ssh}]}\nrun: x',
    );
    assert.deepEqual(poolsOfTask(named), ['by-config', 'by-key']);
    const hosts = await nodesOfTask(file, named);
    assert.deepEqual(
      hosts.map(({ name }) => name),
      ['named', keyed.address],
    );
    for (const infra of ['ssh', 'aws/us-east-1', "'*'"])
      assert.deepEqual(poolsOfTask(taskOf(`resources: {infra: ${infra}}\nrun: x`)), []);
  });

  it('logs in with passwords, also where they are asked for, and keeps none of them', async () => {
    const said = await go(
      'by-password',
      'by-password',
      'num_nodes: 2\nrun: echo "$SKYPILOT_NODE_RANK at home in $HOME"',
    );
    assert.equal(await ended('by-password', 1), 'SUCCEEDED', said.join('\n'));
    const text = await log('by-password', 1);
    assert.match(text, new RegExp(`0 at home in ${open.home}`));
    assert.match(text, new RegExp(`1 at home in ${asking.home}`));
    assert.deepEqual([...new Set(open.tried)], ['right-and-secret']);
    assert.deepEqual(
      queue.definition('by-password').nodes[0]?.inventory?.devices.map(({ name }) => name),
      ['V100', 'V100'],
    );
    const kept = readdirSync(state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'latin1'));
    assert.ok(kept.some((content) => content.includes('by-password')));
    assert.ok(kept.every((content) => !/right-and-secret|another-secret/.test(content)));
  });

  it('takes user and key of a host from the ssh config where that names it', async () => {
    await go('by-config', 'by-config', 'run: echo "$CLUSTER_QUEUE_NODE_ID"');
    assert.equal(await ended('by-config', 1), 'SUCCEEDED');
  });

  it('refuses a pool with mistakes by their line, and goes on with the others', async () => {
    const broken = path.join(home, 'broken.yaml');
    writeFileSync(broken, 'a:\n  hosts: [x]\nb:\n  hosts: [z]\na:\n  hosts: [y]\nc:\n');
    const read = await readPools(broken);
    assert.deepEqual(
      read.pools.map(({ name }) => name),
      ['b'],
    );
    assert.deepEqual(faultWords(read), [
      `${broken}:5: a is given twice. Remove one of the two. (not usable until that is mended: a)`,
      `${broken}:7: The pool c has no hosts: it needs "hosts:" with a list below. (not usable until that is mended: c)`,
    ]);
    assert.deepEqual(
      (await poolNodes(broken, 'b')).map(({ name }) => name),
      ['z'],
    );
    await assert.rejects(poolNodes(broken, 'a'), /broken\.yaml:5: a is given twice/);
    await assert.rejects(poolNodes(broken, 'd'), /no node pool d .*known: b, a, c\); .*broken\.yaml:5: a is/);
  });

  it('refuses a file that lists no pools by its line, and a pool that is not there by those that are', async () => {
    const broken = path.join(home, 'broken.yaml');
    writeFileSync(broken, 'hosts: [x]\n---\na:\n  hosts: [y]\n');
    await assert.rejects(readPools(broken), /broken\.yaml:2: A node pools file is one YAML document/);
    writeFileSync(broken, '\n- x\n');
    await assert.rejects(readPools(broken), /broken\.yaml:2: A node pools file is a list of names/);
    await assert.rejects(
      poolNodes(file, 'by-kex'),
      /no node pool by-kex .*known: by-key, by-password, by-config/,
    );
    await assert.rejects(
      poolNodes(path.join(home, 'none.yaml'), 'x'),
      /no node pool x: there is no file .*none\.yaml/,
    );
  });
});
