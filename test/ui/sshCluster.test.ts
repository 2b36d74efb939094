import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

const long = `name: long
run: |
  for i in $(seq 1 40); do echo "step $i"; sleep 0.2; done
`;

describe('a person with two GPU boxes in their ssh config', function () {
  if (!haveSshd) return;
  // One story: each part begins where the one before it ended.
  this.bail(true);
  const nodes = new TestNodes();
  let window: Workbench;

  before(async () => {
    for (const name of ['gpu-box-1', 'gpu-box-2']) {
      await nodes.add(name, { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 } });
    }
    // One of them is not known yet.
    writeFileSync(
      nodes.knownHosts,
      readFileSync(nodes.knownHosts, 'utf8').split('\n').slice(0, 1).join('\n') + '\n',
    );
    nodes.configure('Host *\n  StrictHostKeyChecking ask');
    window = await openWorkbench({
      workspace: examples,
      files: { 'long.task.yaml': long },
      theme: 'Default Dark Modern',
      settings: { 'clusterQueue.ssh.configFile': nodes.configFile },
    });
  });
  afterEach(async function () {
    if (this.currentTest?.isFailed())
      await window.screenshot(`failed-${this.currentTest.title.replace(/\W+/g, '-')}`);
  });
  after(async () => {
    await window.close();
    await nodes.close();
  });

  it('makes a cluster of them, and is asked to trust the one that is new', async () => {
    await window.openView('Cluster Queue');
    await window.treeItem(/cluster local/).waitFor();
    await window.page.getByRole('button', { name: 'Add Cluster…' }).first().click();
    const widget = window.page.locator('.quick-input-widget');
    await widget.locator('.monaco-list-row').filter({ hasText: 'gpu-box-1' }).first().click();
    await widget.locator('.monaco-list-row').filter({ hasText: 'gpu-box-2' }).first().click();
    await window.screenshot('add-cluster');
    await widget.getByRole('button', { name: 'OK' }).click();
    await window.enter('mycluster');
    const trust = window.page.getByRole('button', { name: 'Trust and Connect' });
    await trust.waitFor();
    assert.match(await window.page.locator('.monaco-dialog-box').innerText(), /gpu-box-2[^]*SHA256:/);
    await window.screenshot('trust');
    await trust.click();
    await window.treeItem(/gpu-box-2.*4\/4 V100 free/).waitFor();
    assert.equal(readFileSync(nodes.knownHosts, 'utf8').trim().split('\n').length, 2);
  });

  it('runs a two-node task on it, with the rank in its log', async () => {
    const menu = await window.rightClickFile('two-nodes.task.yaml');
    await menu.pick('Exec on Cluster…');
    await window.quickPick('mycluster');
    await window.notification('job 1 queued on mycluster');
    await window.output('(rank 1, gpu-box-2) rank 1 of 2, head 127.0.0.2, GPUs 0,1,2,3');
    await window.openView('Cluster Queue');
    await window.treeItem(/job 1 two-nodes.*SUCCEEDED/).waitFor();
    await window.output('job 1 SUCCEEDED');
    await window.screenshot('two-nodes');
  });

  it('opens a terminal on a node', async () => {
    await window.inlineAction(window.treeItem(/gpu-box-1/), 'Open Terminal on Node');
    await window.page.locator('.terminal-wrapper').first().waitFor();
    await window.page
      .getByRole('tab', { name: /gpu-box-1/ })
      .or(window.page.locator('.terminal-tabs-entry, .single-terminal-tab').filter({ hasText: 'gpu-box-1' }))
      .first()
      .waitFor();
    await window.screenshot('terminal');
  });

  it('finds a job again that went on while the window was gone', async () => {
    const menu = await window.rightClickFile('long.task.yaml');
    await menu.pick('Exec on Cluster…');
    await window.quickPick('mycluster');
    await window.output('step 3');
    await window.page.reload();
    await window.waitForExplorer();
    await window.openView('Cluster Queue');
    const row = window.treeItem(/job 2 long.*SUCCEEDED/);
    await row.waitFor();
    await row.click();
    await window.output('step 40');
    const log = readFileSync(path.join(window.home, 'queue', 'logs', 'mycluster', '2-long.log'), 'utf8');
    assert.equal(log, Array.from({ length: 40 }, (_, index) => `step ${index + 1}\n`).join(''));
  });
});
