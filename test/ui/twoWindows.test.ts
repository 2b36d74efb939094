import path from 'node:path';
import { tellFailure } from './story';
import { openWorkbench, Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

describe('two windows of one person', () => {
  let first: Workbench;
  before(async () => {
    first = await openWorkbench({ workspace: examples, theme: 'Default Dark Modern' });
  });
  let second: Workbench | undefined;
  afterEach(async function () {
    if (!this.currentTest?.isFailed()) return;
    await tellFailure(first, `${this.currentTest.title} first`);
    await tellFailure(second, `${this.currentTest.title} second`);
  });
  after(async () => {
    await first.close();
  });

  it('share one queue, which goes on when the one that had it closes', async () => {
    const context = first.page.context();
    const browser = context.browser();
    if (!browser) throw new Error('the workbench has no browser');
    const other = await browser.newContext({ storageState: await context.storageState() });
    const page = await other.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(first.page.url());
    second = new Workbench(page, first.folder, first.home, () => Promise.resolve());
    await second.waitForExplorer();
    for (const window of [first, second]) {
      await window.openView('Cluster Queue');
      await window.treeItem(/cluster local/).waitFor();
    }
    await first.page.bringToFront();
    const menu = await first.rightClickFile('huggingface.task.yaml');
    await menu.pick('Exec on Cluster…');
    await first.output('step 1/5');
    await page.bringToFront();
    const row = second.treeItem(/job 1 huggingface/);
    await row.click();
    await second.output('step 2/5');
    await first.page.close();
    await second.output('step 5/5');
    await second.treeItem(/job 1 huggingface.*SUCCEEDED/).waitFor();
  });
});
