import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

const task = `name: train
num_nodes: 2
resources:
  accelerators: V100:4
file_mounts:
  ~/data.txt: ./data.txt
setup: echo "installing"
run: cat ~/data.txt
`;

describe('a person who launches their first cluster', function () {
  if (!haveSshd) return;
  const nodes = new TestNodes();
  let window: Workbench;

  before(async () => {
    const v100 = { name: 'Tesla V100-SXM2-16GB', count: 4, memoryMiB: 16384 };
    await nodes.add('gpu-box-1', { gpus: v100 });
    await nodes.add('gpu-box-2', { gpus: v100 });
    await nodes.add('laptop', { gpus: { ...v100, count: 1 } });
    window = await openWorkbench({
      workspace: examples,
      files: {
        'train.task.yaml': task,
        'broken.task.yaml': task.replace('echo "installing"', 'echo "no such package"; exit 3'),
        'data.txt': 'rows',
      },
      theme: 'Default Light Modern',
      settings: { 'clusterQueue.ssh.configFile': nodes.configFile },
    });
  });
  story(() => window);
  after(async () => {
    await window.close();
    await nodes.close();
  });

  const row = (text: RegExp) => window.treeItem(text);

  it('is told why no two hosts fitted, and the cluster says so', async () => {
    await nodes.find('gpu-box-2').stop();
    const menu = await window.rightClickFile('train.task.yaml');
    await menu.pick('Launch Cluster…');
    const widget = window.page.locator('.quick-input-widget');
    const fresh = widget.getByRole('option').filter({ hasText: 'New cluster…' });
    await fresh.waitFor();
    await window.screenshot('launch-where');
    await fresh.click();
    for (const host of ['gpu-box-1', 'gpu-box-2', 'laptop'])
      await widget.locator('.monaco-list-row').filter({ hasText: host }).first().click();
    await window.screenshot('launch-hosts');
    await widget.getByRole('button', { name: 'OK' }).click();
    await window.enter('lab');
    await window.notification(/lab needs 2 hosts that fit, and 1 of 3 did/);
    await window.openView('Cluster Queue');
    await row(/cluster lab, launch failed: hosts/).waitFor();
    await window.screenshot('launch-failed');
  });

  it('goes on with that step alone when the host is back, and hears who was passed over', async () => {
    await nodes.find('gpu-box-2').start();
    await window.clearNotifications();
    await window.inlineAction(row(/cluster lab/), 'Retry Launch');
    await window.notification(
      /queued on lab: job 1 \(setup\), then job 2 \(train\); passed over laptop: .*4 × V100/,
    );
    await row(/job 2 train.*SUCCEEDED/).waitFor();
    assert.equal(await row(/^laptop/).count(), 0);
    await window.screenshot('launch-retried');
  });

  it('is asked at exec whether files that have changed shall be placed first', async () => {
    await window.clearNotifications();
    writeFileSync(path.join(window.folder, 'data.txt'), 'more rows');
    const menu = await window.rightClickFile('train.task.yaml');
    await menu.pick('Exec on Cluster…');
    await window.quickPick('lab');
    const dialog = window.page.locator('.monaco-dialog-box');
    await dialog.filter({ hasText: '~/data.txt has changed since it was placed' }).waitFor();
    await window.screenshot('sync-and-run');
    await dialog.getByRole('button', { name: 'Sync and Run' }).click();
    await window.notification('job 3 queued on lab');
    await window.output('more rows');
    await window.openView('Cluster Queue');
    await row(/job 3 train.*SUCCEEDED/).waitFor();
    // Once placed, it is not asked again.
    const again = await window.rightClickFile('train.task.yaml');
    await again.pick('Exec on Cluster…');
    await window.quickPick('lab');
    await window.notification('job 4 queued on lab');
  });

  it('sees on the cluster that a setup has failed, until one succeeds', async () => {
    const launchOnLab = async (file: string): Promise<void> => {
      const menu = await window.rightClickFile(file);
      await menu.pick('Launch Cluster…');
      await window.quickPick('lab');
    };
    await window.clearNotifications();
    await launchOnLab('broken.task.yaml');
    await window.notification(/queued on lab: job 5 \(setup\), then job 6/);
    await window.openView('Cluster Queue');
    await row(/cluster lab, launch failed: setup · job 5 is FAILED_SETUP: rank \d .* exit code 3/).waitFor();
    await window.screenshot('launch-setup-failed');
    await launchOnLab('train.task.yaml');
    await window.openView('Cluster Queue');
    await row(/job 8 train.*SUCCEEDED/).waitFor();
    // What a cluster's row says may come up to two seconds later than what its jobs' rows do.
    await row(/launch failed/).waitFor({ state: 'detached' });
  });
});
