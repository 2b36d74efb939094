import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { noneLeft } from '../faults/processes';
import { haveSshd, TestNodes, type TestNode } from '../support/sshd';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

const cluster = `name: train
resources:
  accelerators: V100:1
file_mounts:
  ~/page: https://example.com/page
setup: |
  echo setup >>~/ran
  until [ -e ~/go-setup ]; do sleep 0.1; done
run: cat ~/page >>~/ran
`;

const synced = `name: synced
workdir: ./code
run: cat part >>~/ran; seq -f 'line %g' 5
`;

/** Lasts until the test lets it go, and says that it is there. */
const until = (what: string): string =>
  `echo "$$" >>~/at-${what}; until [ -e ~/go-${what} ]; do sleep 0.05; done`;

describe('a person who reloads the window while it is at work', function () {
  if (!haveSshd) return;
  const nodes = new TestNodes();
  let node: TestNode;
  let window: Workbench;

  before(async () => {
    node = await nodes.add('gpu-box-1', {
      gpus: { name: 'Tesla V100-SXM2-16GB', count: 1, memoryMiB: 16384 },
      tools: {
        curl: `${until('files')}; while [ "$1" != -o ]; do shift; done; echo page >"$2"`,
        tar: `case $1 in -x*) ${until('sync')} ;; esac; PATH=\${PATH#*:}; exec tar "$@"`,
      },
    });
    window = await openWorkbench({
      workspace: examples,
      files: { 'train.task.yaml': cluster, 'synced.task.yaml': synced },
      theme: 'Default Dark Modern',
      settings: { 'clusterQueue.ssh.configFile': nodes.configFile },
    });
    mkdirSync(path.join(window.folder, 'code'));
    writeFileSync(path.join(window.folder, 'code', 'part'), 'synced\n');
  });
  story(() => window);
  after(async () => {
    await window.close();
    await nodes.close();
  });

  const inHome = (name: string): string => path.join(node.home, name);
  const begun = async (what: string): Promise<void> => {
    while (!existsSync(inHome(`at-${what}`))) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const letGo = (what: string): void => writeFileSync(inHome(`go-${what}`), '');
  const ran = (): string => readFileSync(inHome('ran'), 'utf8');
  const reload = async (): Promise<void> => {
    // The old workbench shows its rows until it is gone.
    const gone = window.page.waitForEvent('load');
    await window.runCommand('Developer: Reload Window');
    await gone;
    // Until the side bar is as it was, a click on the view that it shows would close it.
    await window.treeItem(/./).waitFor();
    await window.openView('Cluster Queue');
  };

  it('is told that the launch was broken off while it placed files, and goes on with it', async () => {
    const menu = await window.rightClickFile('train.task.yaml');
    await menu.pick('Launch Cluster…');
    const widget = window.page.locator('.quick-input-widget');
    await widget.getByRole('option').filter({ hasText: 'New cluster…' }).click();
    await widget.locator('.monaco-list-row').filter({ hasText: 'gpu-box-1' }).first().click();
    await widget.getByRole('button', { name: 'OK' }).click();
    await window.enter('lab');
    await begun('files');
    await reload();
    await window.treeItem(/cluster lab, launch failed: files.*broken off/).waitFor();
    await window.screenshot('launch-broken-off');
    letGo('files');
    await window.inlineAction(window.treeItem(/cluster lab/), 'Retry Launch');
    await window.notification(/queued on lab: job 1 \(setup\), then job 2 \(train\)/);
  });

  it('finds the setup going on, and the task after it', async () => {
    await window.openView('Cluster Queue');
    await window.treeItem(/job 1 setup.*RUNNING/).waitFor();
    await reload();
    await window.treeItem(/job 1 setup.*RUNNING/).waitFor();
    assert.equal(await window.treeItem(/cluster lab.*launch/).count(), 0);
    letGo('setup');
    await window.treeItem(/job 2 train.*SUCCEEDED/).waitFor();
    assert.equal(ran(), 'setup\npage\n');
  });

  it('finds a job whose workdir was on its way, which then runs once', async () => {
    const menu = await window.rightClickFile('synced.task.yaml');
    await menu.pick('Exec on Cluster…');
    await window.quickPick('lab');
    await begun('sync');
    await reload();
    await window.treeItem(/job 3 synced.*(PENDING|SETTING_UP)/).waitFor();
    letGo('sync');
    await window.treeItem(/job 3 synced.*SUCCEEDED/).waitFor();
    assert.equal(ran(), 'setup\npage\nsynced\n');
    assert.equal(await window.treeItem(/job 4/).count(), 0);
    await noneLeft(node.home);
  });

  it('reads the log of a job that has ended, and what became of it after its last line', async () => {
    await reload();
    await window.treeItem(/job 3 synced.*SUCCEEDED/).click();
    const shown = await window.outputTo('[cluster-queue] job 3 SUCCEEDED');
    await window.screenshot('log-of-ended-job');
    assert.deepEqual(shown.slice(0, -1), ['line 1', 'line 2', 'line 3', 'line 4', 'line 5']);
  });
});
