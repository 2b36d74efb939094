import assert from 'node:assert/strict';
import path from 'node:path';
import { story } from './story';
import { openWorkbench, reaches, type Workbench } from './workbench';

const examples = path.resolve(__dirname, '../../../examples');

const stay = 'name: stay\nrun: sleep 300\n';
const blink = `name: blink
envs:
  n:
resources:
  accelerators: V100:4
run: sleep 0.2
`;

// In the browser: how often the parts of a row are made anew in six seconds.
const countDraws = `new Promise((resolve) => {
  let times = 0;
  const observer = new MutationObserver((changes) => {
    if (changes.some(({ addedNodes }) => addedNodes.length > 0)) times++;
  });
  observer.observe(document.querySelector('.sidebar [role=treeitem][aria-label^="job 1 stay"]'), { childList: true, subtree: true });
  setTimeout(() => resolve(times), 6000);
})`;

describe('a person whose queue is busy', () => {
  let window: Workbench;

  before(async () => {
    window = await openWorkbench({
      workspace: examples,
      files: { 'stay.task.yaml': stay, 'blink.task.yaml': blink },
      theme: 'Default Dark Modern',
    });
  });
  story(() => window);
  after(async () => {
    await window.close();
  });

  it('has one job that stays, and many that come and go', async () => {
    const first = await window.rightClickFile('stay.task.yaml');
    await first.pick('Exec on Cluster…');
    await window.notification('job 1 queued');
    const menu = await window.rightClickFile('blink.task.yaml');
    await menu.pick('Exec on Cluster N Times…');
    await window.enter('n=1 100');
    await window.openView('Cluster Queue');
    await window.treeItem(/group blink, 1 running/).waitFor();
    await window.clearNotifications();
  });

  it('has a button that is not drawn again all the time: a click would be lost', async () => {
    const drawn = await window.page.evaluate<number>(countDraws);
    // Once in two seconds, with the counts above it.
    assert.ok(drawn <= 5, `it was drawn ${drawn} times in six seconds`);
    await window.treeItem(/group blink, 1 running/).waitFor();
  });

  it('clicks a row as often as can be, and none is lost because the row is drawn anew', async () => {
    const row = window.treeItem(/job 1 stay/);
    for (const end = Date.now() + 8_000; Date.now() < end;) {
      await row.click();
      assert.equal(await window.page.getByText('Actual command not found').count(), 0);
    }
    await window.screenshot('busy-clicked');
  });

  it('cancels one of them by its button, pressed as long as a person presses it', async () => {
    const row = window.treeItem(/job 1 stay/);
    const cancelled = window.treeItem(/job 1 stay.*CANCELLED/);
    let clicks = 0;
    do {
      assert.ok(clicks++ < 3, 'each of three clicks was lost');
      await row.hover();
      await row.getByRole('button', { name: 'Cancel Job' }).first().click({ delay: 110 });
    } while (!(await reaches(cancelled, 'visible', 3_000)));
    await window.screenshot('busy');
  });

  it('sees how long ago that was, without doing anything', async () => {
    await window.treeItem(/job 1 stay.*CANCELLED.* · 10 secs ago/).waitFor();
    await window.screenshot('age-of-ended-job');
    await window.treeItem(/job 1 stay.*CANCELLED.*20 secs ago/).waitFor();
  });
});
