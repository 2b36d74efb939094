import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

// All four GPUs, held until the test lets go, and not for ever should the test die first.
const train = `name: train

resources:
  accelerators: V100:4

run: |
  echo "training on GPUs $CUDA_VISIBLE_DEVICES"
  for i in $(seq 600); do [ -e "$HOME/let-go" ] && break; sleep 0.1; done
  echo "trained"
`;

for (const theme of ['Light', 'Dark']) {
  describe(`a person's first jobs, in the ${theme.toLowerCase()} theme`, function () {
    let window: Workbench;
    const picture = (name: string): Promise<string> => window.screenshot(`${name}-${theme.toLowerCase()}`);

    before(async () => {
      window = await openWorkbench({
        workspace: examples,
        files: { 'train.task.yaml': train },
        theme: `Default ${theme} Modern`,
      });
    });
    story(() => window, `-${theme.toLowerCase()}`);
    after(async () => {
      await window.close();
    });

    it('runs a task file from the explorer and shows its output', async () => {
      await window.openFile('train.task.yaml');
      // By then the theme and the language are there too.
      await window.page
        .locator('.codelens-decoration')
        .filter({ hasText: 'Exec on Cluster…' })
        .first()
        .waitFor();
      await picture('task-file');
      const menu = await window.rightClickFile('train.task.yaml');
      await menu.pick('Exec on Cluster…');
      await window.notification('job 1 queued on local');
      await window.output('training on GPUs 0,1,2,3');
    });

    it('says in the tree what a job that has no GPU free waits for', async () => {
      const menu = await window.rightClickFile('huggingface.task.yaml');
      await menu.pick('Exec on Cluster…');
      await window.notification('job 2 queued on local');
      await window.openView('Cluster Queue');
      await window.treeItem(/train.*RUNNING/).waitFor();
      const waiting = window.treeItem(/huggingface.*PENDING/);
      await waiting.waitFor();
      assert.match(await waiting.innerText(), /waiting for 4 × V100/);
      await picture('queue');
    });

    it('cancels a job from its row', async () => {
      await window.inlineAction(window.treeItem(/huggingface/), 'Cancel Job');
      await window.treeItem(/huggingface.*CANCELLED/).waitFor();
    });

    it('cancels a job with the keyboard', async () => {
      const menu = await window.rightClickFile('huggingface.task.yaml');
      await menu.pick('Exec on Cluster…');
      await window.notification('job 3 queued on local');
      await window.openView('Cluster Queue');
      const row = window.treeItem(/job 3 huggingface.*PENDING/);
      await row.click();
      // The extension has heard of the selection when it shows the job's log.
      await window.output('job 3 is queued');
      await row.press('Delete');
      await window.treeItem(/job 3 huggingface.*CANCELLED/).waitFor();
    });

    it('shows how a job ended', async () => {
      fs.writeFileSync(path.join(window.home, 'let-go'), '');
      await window.treeItem(/train.*SUCCEEDED/).waitFor();
      await window.treeItem(/job 1 train/).click();
      await window.output('trained');
      await picture('finished');
    });

    it('marks the mistakes of a file that is opened from the explorer', async () => {
      await window.clearNotifications();
      await window.openFile('mistakes.task.yaml');
      await window.page.locator('.squiggly-error').nth(1).waitFor();
      await picture('squiggles');
    });

    it('does not queue a file with a mistake, and says which', async () => {
      const menu = await window.rightClickFile('mistakes.task.yaml');
      await menu.pick('Exec on Cluster…');
      await window.notification(/mistakes\.task\.yaml:\d+: .*num_node/);
      await picture('mistake');
    });
  });
}
