import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

describe('cq with one machine under two names', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const nodes = new TestNodes();
  const cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile });
  before(async () => {
    const gpus = { name: 'NVIDIA H100 80GB HBM3', count: 2, memoryMiB: 81559 };
    for (const name of ['nodeb', 'nodeb2']) await nodes.add(name, { machine: 'box', gpus });
  });
  after(async () => {
    await cq.close();
    await nodes.close();
  });

  it('refuses a launch that wants two, and passes the second name over where one will do', async () => {
    writeFileSync(path.join(cq.dir, 'two.yaml'), 'num_nodes: 2\nrun: echo\n');
    const two = await cq.run('launch', '-c', 'two', '--hosts', 'nodeb,nodeb2', 'two.yaml');
    assert.equal(two.code, 1);
    assert.match(
      two.stderr,
      /two needs 2 hosts that fit, and 1 of 2 did: nodeb: fits; nodeb2: is the same machine as nodeb, which counts once/,
    );
    const all = await cq.run('launch', '-c', 'all', '--hosts', 'nodeb,nodeb2');
    assert.equal(all.code, 0);
    assert.match(all.stderr, /passed over nodeb2: is the same machine as nodeb/);
    assert.match((await cq.run('status')).stdout, /^all +nodeb +2\/2 H100 free$/m);
  });

  it('does not add it to a cluster under the second name', async () => {
    const added = await cq.run('add-node', 'all', 'nodeb2');
    assert.equal(added.code, 1);
    assert.match(added.stderr, /nodeb2 is the same machine as nodeb: it is not added to all a second time/);
    const gone = await cq.run('remove-node', 'all', 'nodeb2');
    assert.match(gone.stderr, /all has no node nodeb2 \(it has: nodeb\)/);
  });

  it('says what became of nodes that are drained, used again and removed', async () => {
    const done = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cq.run(...words);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.equal(await done('drain', 'all', 'nodeb'), 'draining on all, where nothing new starts: nodeb\n');
    assert.equal(await done('undrain', 'all', 'nodeb'), 'in use again on all: nodeb\n');
    assert.equal(await done('remove-node', 'two', 'nodeb2'), 'removed from two: nodeb2\n');
  });
});
