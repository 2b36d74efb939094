import assert from 'node:assert/strict';
import path from 'node:path';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

// Three of the four GPUs, so that one runs and the others wait; not for ever should the test die.
const tune = `name: tune
envs:
  lr:
resources:
  accelerators: V100:3
run: echo "lr is $lr"; sleep 60
`;
const next = (name: string): string => `name: ${name}
resources:
  accelerators: V100:4
run: sleep 60
`;

for (const theme of ['Light', 'Dark']) {
  describe(`many jobs of one file, in the ${theme.toLowerCase()} theme`, function () {
    let window: Workbench;
    const picture = (name: string): Promise<string> => window.screenshot(`${name}-${theme.toLowerCase()}`);

    before(async () => {
      window = await openWorkbench({
        workspace: examples,
        files: { 'tune.task.yaml': tune, 'one.task.yaml': next('one'), 'two.task.yaml': next('two') },
        theme: `Default ${theme} Modern`,
      });
    });
    story(() => window, `-${theme.toLowerCase()}`);
    after(async () => {
      await window.close();
    });

    it('are asked for in one line that says how many they are', async () => {
      const menu = await window.rightClickFile('tune.task.yaml');
      await menu.pick('Exec on Cluster N Times…');
      const input = window.page.locator('.quick-input-widget input').first();
      await input.fill('lr=1e-3,1e-4 2');
      await window.page.locator('.quick-input-message').filter({ hasText: '4 jobs' }).waitFor();
      await picture('sweep-input');
      await input.press('Enter');
      await window.notification('jobs 1 to 4 queued on local');
    });

    it('are one row with counts, that unfolds', async () => {
      await window.openView('Cluster Queue');
      const group = window.treeItem(/group tune, 1 running, 3 waiting/);
      await group.waitFor();
      await group.locator('.monaco-tl-twistie').click();
      await window.treeItem(/tune-lr1e-4-2.*PENDING/).waitFor();
      await picture('sweep');
    });

    it('are cancelled whole from the row', async () => {
      await window.inlineAction(window.treeItem(/group tune/), 'Cancel Group');
      await window.page.getByRole('button', { name: 'Cancel 4 Jobs' }).click();
      await window.treeItem(/group tune, 4 cancelled/).waitFor();
    });

    it('are put in another order by dragging one onto another', async () => {
      for (const [file, id] of [
        ['one.task.yaml', 5],
        ['one.task.yaml', 6],
        ['two.task.yaml', 7],
      ] as const) {
        const menu = await window.rightClickFile(file);
        await menu.pick('Exec on Cluster…');
        await window.notification(`job ${id} queued on local`);
      }
      await window.openView('Cluster Queue');
      await window.treeItem(/job 5 one.*RUNNING/).waitFor();
      await window.treeItem(/job 7 two.*PENDING/).dragTo(window.treeItem(/job 6 one.*PENDING/));
      // What is next stands lowest.
      const waiting = window.treeItem(/job 7 two.*PENDING/);
      await waiting.and(window.page.locator('[aria-posinset="3"]')).waitFor();
      await window.inlineAction(window.treeItem(/job 5 one/), 'Cancel Job');
      await window.treeItem(/job 7 two.*RUNNING/).waitFor();
      assert.match(await window.treeItem(/job 6 one/).innerText(), /waiting for 4 × V100/);
      await picture('dragged');
      // What still ran after the window would keep the GPUs of this machine from the next one.
      for (const name of [/job 6 one/, /job 7 two/])
        await window.inlineAction(window.treeItem(name), 'Cancel Job');
      for (const name of [/job 6 one.*CANCELLED/, /job 7 two.*CANCELLED/])
        await window.treeItem(name).waitFor();
    });
  });
}
