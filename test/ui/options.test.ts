import path from 'node:path';
import { story } from './story';
import { openWorkbench, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

// Its first try fails at once, its second runs until it is cancelled.
const flaky = `name: flaky
resources:
  accelerators: V100:1
run: |
  [ "$CLUSTER_QUEUE_TRY" = 2 ] || exit 3
  sleep 60
`;

for (const theme of ['Light', 'Dark']) {
  describe(`a job with options, in the ${theme.toLowerCase()} theme`, function () {
    let window: Workbench;
    const picture = (name: string): Promise<string> => window.screenshot(`${name}-${theme.toLowerCase()}`);

    before(async () => {
      window = await openWorkbench({
        workspace: examples,
        files: { 'flaky.task.yaml': flaky },
        theme: `Default ${theme} Modern`,
      });
    });
    story(() => window, `-${theme.toLowerCase()}`);
    after(async () => {
      await window.close();
    });

    const asked = (prompt: string): Promise<void> =>
      window.page.locator('.quick-input-message').filter({ hasText: prompt }).waitFor();

    it('is asked for its name, GPUs, time limit and retries, and told what is wrong with each', async () => {
      const menu = await window.rightClickFile('flaky.task.yaml');
      await menu.pick('Exec on Cluster with Options…');
      await asked('Name of the job');
      await window.enter('patient');
      await asked('GPUs on each node');
      await window.enter('V100:2');
      await asked('Time limit of a try');
      const input = window.page.locator('.quick-input-widget input').first();
      await input.fill('soon');
      await window.page.locator('.quick-input-message').filter({ hasText: /4h/ }).waitFor();
      await picture('options-time-limit');
      await window.enter('4h');
      await asked('How often it is run again');
      await input.fill('-1');
      await asked('A whole number from 0 to');
      await picture('options-retries');
      await window.enter('3');
      await window.notification('job 1 queued on local');
    });

    it('shows its limit and which try it is at', async () => {
      await window.openView('Cluster Queue');
      const row = window.treeItem(/job 1 patient.*RUNNING.*try 2 of 4.*limit 4h/);
      await row.waitFor();
      await picture('options-tree');
      await window.inlineAction(row, 'Cancel Job');
      await window.treeItem(/job 1 patient.*CANCELLED/).waitFor();
    });
  });
}
