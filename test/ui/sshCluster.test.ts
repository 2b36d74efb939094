import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fakeCrontab, rebootLines } from '../support/fakeCron';
import { haveSshd, TestNodes } from '../support/sshd';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

const long = `name: long
run: |
  for i in $(seq 1 40); do echo "step $i"; sleep 0.2; done
`;

const untilGo = `name: until-go
num_nodes: 2
resources:
  accelerators: V100:4
run: |
  until [ -e ~/go ]; do sleep 0.1; done
`;

const cluster = `name: first
num_nodes: 2
resources:
  accelerators: V100:4
setup: |
  echo "installing on $SKYPILOT_SETUP_NODE_RANK"
run: |
  echo "first job on $SKYPILOT_NODE_RANK"
`;

describe('a person with two GPU boxes in their ssh config', function () {
  if (!haveSshd) return;
  const nodes = new TestNodes();
  const boxes = ['gpu-box-1', 'gpu-box-2'];
  const tableOf = (name: string): string => path.join(nodes.dir, `crontab-${name}`);
  let window: Workbench;

  before(async () => {
    for (const name of boxes) {
      const bin = path.join(nodes.dir, `bin-${name}`);
      mkdirSync(bin);
      writeFileSync(path.join(bin, 'crontab'), `#!/bin/sh\n${fakeCrontab(tableOf(name))}\n`, { mode: 0o755 });
      await nodes.add(name, { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 }, bin });
    }
    // One of them is not known yet.
    writeFileSync(
      nodes.knownHosts,
      readFileSync(nodes.knownHosts, 'utf8').split('\n').slice(0, 1).join('\n') + '\n',
    );
    nodes.configure('Host *\n  StrictHostKeyChecking ask');
    const pools = path.join(nodes.dir, 'pools.yaml');
    writeFileSync(
      pools,
      'lab:\n  hosts:\n    - gpu-box-1\n    - ip: gpu-box-2\n      gpus: V100:4\n      devics: [0, 1]\n',
    );
    window = await openWorkbench({
      workspace: examples,
      files: { 'long.task.yaml': long, 'until-go.task.yaml': untilGo, 'cluster.task.yaml': cluster },
      theme: 'Default Dark Modern',
      settings: {
        'clusterQueue.ssh.configFile': nodes.configFile,
        'clusterQueue.nodePools': pools,
      },
    });
  });
  story(() => window);
  after(async () => {
    await window.close();
    await nodes.close();
  });

  it('makes a cluster of them, and is asked to trust the one that is new', async () => {
    await window.openView('Cluster Queue');
    await window.treeItem(/cluster local/).waitFor();
    await window.page.getByRole('button', { name: 'Add Cluster…' }).first().click();
    const widget = window.page.locator('.quick-input-widget');
    await widget
      .locator('.monaco-list-row')
      .filter({ hasText: 'gpu-box-1', hasNotText: 'lab' })
      .first()
      .click();
    await widget
      .locator('.monaco-list-row')
      .filter({ hasText: 'gpu-box-2', hasNotText: 'lab' })
      .first()
      .click();
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

  it('has its nodes go on by themselves after a reboot, and takes that back', async () => {
    const lines = (): number[] => boxes.map((name) => rebootLines(tableOf(name)).length);
    const ask = async (answer: string): Promise<void> => {
      const menu = await window.rightClick(window.treeItem(/cluster mycluster/));
      await menu.pick('Resume Jobs After a Reboot…');
      await window.page.getByRole('button', { name: answer, exact: true }).waitFor();
      await window.screenshot('resume-at-boot');
      await window.page.getByRole('button', { name: answer, exact: true }).click();
    };
    await window.clearNotifications();
    await ask('Install');
    await window.notification(/gpu-box-1: a line of the crontab .*gpu-box-2: a line of the crontab/);
    await window.screenshot('resumes-at-boot');
    assert.deepEqual(lines(), [1, 1]);
    // Of more than three within 800 ms VS Code shows none but in its notification center.
    await window.clearNotifications();
    await ask('Remove');
    await window.notification('gpu-box-1: nothing is started at boot any more; gpu-box-2: nothing');
    assert.deepEqual(lines(), [0, 0]);
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

  it('launches a cluster of hosts that fit: setup on all of them, then the task', async () => {
    const menu = await window.rightClickFile('cluster.task.yaml');
    await menu.pick('Launch Cluster…');
    const widget = window.page.locator('.quick-input-widget');
    await widget.getByRole('option').filter({ hasText: 'New cluster…' }).click();
    await widget.locator('.monaco-list-row').filter({ hasText: 'lab' }).first().click();
    await window.screenshot('launch-pool');
    await widget.getByRole('button', { name: 'OK' }).click();
    await window.enter('second');
    await window.notification(/queued on second: job 1 \(setup\), then job 2 \(first\)/);
    await window.openView('Cluster Queue');
    await window.treeItem(/job 2 first.*SUCCEEDED/).click();
    await window.output('(rank 1, gpu-box-2) first job on 1');
    await window.screenshot('launched');
  });

  it('checks and completes the node pools in the editor', async () => {
    await window.runCommand('Cluster Queue: Edit Node Pools');
    await window.page.locator('.squiggly-warning').first().waitFor();
    await window.page.locator('.editor-instance .view-line').filter({ hasText: 'devics' }).click();
    await window.page.keyboard.press('Control+End');
    await window.page.keyboard.type('      vi');
    await window.page.keyboard.press('Control+Space');
    await window.page.locator('.suggest-widget').getByText('virtual').first().waitFor();
    await window.screenshot('node-pools');
    await window.page.keyboard.press('Escape');
    await window.runCommand('File: Revert File');
    await window.runCommand('View: Close Editor');
  });

  it('moves and holds waiting jobs from their menus', async () => {
    // The first has all GPUs until it is let go, so that the others wait however slow this machine is.
    for (const [id, file] of [
      [3, 'until-go.task.yaml'],
      [4, 'two-nodes.task.yaml'],
      [5, 'two-nodes.task.yaml'],
    ] as const) {
      const menu = await window.rightClickFile(file);
      await menu.pick('Exec on Cluster…');
      await window.quickPick('second');
      await window.notification(new RegExp(`job ${id} queued on second`));
    }
    await window.openView('Cluster Queue');
    const hold = await window.rightClick(window.treeItem(/job 4 two-nodes/));
    await hold.pick('Hold');
    await window.treeItem(/job 4 two-nodes.*held/).waitFor();
    const next = await window.rightClick(window.treeItem(/job 5 two-nodes/));
    assert.deepEqual(
      (await next.items()).filter((item) => /Run Next|Move Up|Hold|Release|Priority/.test(item)).length,
      4,
    );
    await next.pick('Run Next');
    for (const name of ['gpu-box-1', 'gpu-box-2']) writeFileSync(path.join(nodes.find(name).home, 'go'), '');
    await window.treeItem(/job 5 two-nodes.*SUCCEEDED/).waitFor();
    const release = await window.rightClick(window.treeItem(/job 4 two-nodes.*held/));
    await release.pick('Release');
    await window.treeItem(/job 4 two-nodes.*SUCCEEDED/).waitFor();
  });

  it('drains a node and takes it back, and takes a cluster down', async () => {
    await window.openView('Cluster Queue');
    await window.tooltip(window.treeItem(/^gpu-box-2/), 'NVIDIA driver 535.104.05, CUDA 12.2');
    await window.screenshot('node-tooltip');
    const node = await window.rightClick(window.treeItem(/^gpu-box-2/));
    await node.pick('Drain Node');
    await window.treeItem(/gpu-box-2.*draining/).waitFor();
    const drained = await window.rightClick(window.treeItem(/gpu-box-2.*draining/));
    const items = await drained.items();
    assert.ok(items.includes('Undrain Node') && items.includes('Remove Node…'), items.join());
    await window.screenshot('drained');
    await drained.pick('Undrain Node');
    const cluster = await window.rightClick(window.treeItem(/cluster second/));
    await cluster.pick('Take Cluster Down…');
    const down = window.page.getByRole('button', { name: 'Take Down', exact: true });
    await down.waitFor();
    await window.screenshot('take-down');
    await down.click();
    await window.treeItem(/cluster second/).waitFor({ state: 'detached' });
  });
});
