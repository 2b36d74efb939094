import { mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Locator } from 'playwright-core';
import { openQueue } from '../../src/control';
import { VERSION } from '../../src/control/version';
import { loadedAtStart } from '../../test/support/bundle';
import type { World } from '../../test/support/world';
import { Samples, type Case } from '../case';
import { CodeWindow, installed } from '../codeWindow';
import { CLUSTER, endJobs, manyJobs } from '../manyJobs';
import { pause } from '../lab';

/** As many as the tree shows at first; at each "Show older" it shows twice as many. */
const PAGE = 200;

const BUNDLE = 'main bundle: all that is loaded at the start';
const ACTIVATION = 'activation, own code';
const MEMORY = 'memory, 10,000 jobs in the tree';
const EXPAND = 'expand the cluster';

export const extension: Case = {
  name: 'extension',
  title: 'in VS Code: size, activation, and 10,000 jobs in the tree',
  peer: 'a bare extension in the same window: nearly no code, and a tree of as many rows, which are constants',
  target: [
    { of: BUNDLE, most: 1 },
    { of: ACTIVATION, most: 50 },
    { of: MEMORY, most: 80 },
    { of: EXPAND, most: 100 },
  ],
  floor: 'what the bare extension needs: from a click to the extension host and back to rows on the screen',
  why: 'Where the memory goes, by heap snapshots: 11 MB are SQLite’s file of 10,000 jobs; the engine with its 950 waiting jobs is 3 MB; sql.js and ssh2’s Poly1305 set 39 MB aside for their WebAssembly, which count as JavaScript’s, but only what they touch is resident. With a row for each job 26 MB are rows; the rest is room that V8 keeps of what drawing them needed. VS Code keeps something of each row that it ever drew.',
  async run({ quick, has }) {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-extension-'));
    const samples = new Samples();
    try {
      const built = installed(folder);
      samples.add(BUNDLE, 'MB', loadedAtStart(path.join(built, 'dist')).bytes / 1e6);
      samples.add('its wasm', 'MB', statSync(path.join(built, 'dist', 'sql-wasm.wasm')).size / 1e6);
      if (!has('chromium'))
        return { series: samples.series(), notes: ['No Chromium here to open VS Code with.'] };
      const jobs = quick ? 3 * PAGE : 10_000;
      // No multiple of a page: the one that runs is shown from the first on.
      const waiting = quick ? 150 : 950;
      const [load = 0] = os.loadavg();
      const world = await manyJobs(jobs, waiting);
      try {
        const rounds = quick ? 1 : 5;
        for (let round = 1; round <= rounds; round++) {
          await withWindow(built, world, (window) => measure(window, world, samples, jobs, quick ? 2 : 8));
        }
        await withWindow(built, world, (window) => showAll(window, samples, jobs));
      } finally {
        await endJobs(world);
      }
      return {
        series: samples.series(),
        notes: [
          `${jobs} jobs on a cluster of one node over ssh: one runs, ${waiting} wait, staged there, and the others have ended. The tree shows the newest ${PAGE}, and twice as many at each “Show older jobs”.`,
          'The extension is installed as it ships. Own code: loading it and the call of `activate`, by the clock of its thread’s extension host, in which other extensions start at the same time, and by what its thread was on a CPU. Memory: what the resident memory of the extension host has grown by since activation, after a garbage collection, for that is what the machine has less of; the engine, its SQLite and the connection are in it. Times of the tree are from the click to the frame that shows the first of the rows; before each expand two jobs change places, so that the rows are asked for again.',
          `Load of the machine before: ${load.toFixed(1)}.`,
        ],
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function withWindow(
  built: string,
  world: World,
  work: (window: CodeWindow) => Promise<void>,
): Promise<void> {
  const window = await CodeWindow.open(built, {
    CLUSTER_QUEUE_HOME: world.home,
    CLUSTER_QUEUE_SSH_CONFIG: world.nodes.configFile,
  });
  try {
    await work(window);
  } finally {
    await window.close();
  }
}

/** `times`: an even number, after which the jobs are in the order in which they were. */
async function measure(
  window: CodeWindow,
  world: World,
  samples: Samples,
  jobs: number,
  times: number,
): Promise<void> {
  const { workbench } = window;
  const { ours, bare } = await window.activations();
  samples.add(ACTIVATION, 'ms', ours.ms);
  samples.add(`${ACTIVATION}, on a CPU`, 'ms', ours.cpuMs);
  samples.add(`${ACTIVATION}, bare extension`, 'ms', bare.ms);

  const before = await window.memory();
  samples.add('first open of the view', 'ms', await openTree(window, jobs));
  const { resident, heap } = await window.memory();
  samples.add(MEMORY, 'MB', (resident - before.resident) / 1e6);
  samples.add(`${MEMORY}, of JavaScript`, 'MB', (heap - before.heap) / 1e6);

  const cluster = workbench.treeItem(`cluster ${CLUSTER},`);
  const queue = await openQueue({ home: world.home, version: VERSION });
  try {
    for (let turn = 0; turn < times; turn++) {
      const swap = async (): Promise<void> => {
        await queue.reorder(CLUSTER, jobs - (turn % 2), { move: 'up' });
        // Rows that come and go are drawn two seconds after the last time.
        await pause(2500);
      };
      samples.add(EXPAND, 'ms', await expand(window, cluster, swap));
    }
  } finally {
    await queue.close();
  }
  samples.add('show older, the first time', 'ms', await showOlder(window, jobs - PAGE));

  await tab(window, 'Bare').click();
  await workbench.treeItem(/^job /).waitFor();
  for (let turn = 0; turn < times; turn++)
    samples.add(
      `${EXPAND}, bare extension`,
      'ms',
      await expand(window, workbench.treeItem(CLUSTER), async () => {
        await workbench.page.locator('.sidebar').getByRole('button', { name: 'Refresh' }).first().click();
        await pause(1000);
      }),
    );
}

/** "Show older" until each job has its row. */
async function showAll(window: CodeWindow, samples: Samples, jobs: number): Promise<void> {
  await window.activations();
  const before = await window.memory();
  await openTree(window, jobs);
  let ms = 0;
  for (let shown = PAGE; shown < jobs; shown *= 2) ms = await showOlder(window, jobs - shown);
  samples.add(`show older, the last time: a row for each job`, 'ms', ms);
  const { resident } = await window.memory();
  samples.add('memory, a row for each job', 'MB', (resident - before.resident) / 1e6);
}

/** ms from the click on the view's icon to its first job; waits then until the node has answered. */
async function openTree(window: CodeWindow, jobs: number): Promise<number> {
  const ms = await window.clickToRow(tab(window, 'Cluster Queue'), `job ${jobs} `);
  await window.workbench.treeItem(new RegExp(`^cluster ${CLUSTER}, .*1 running`)).waitFor();
  await window.workbench.treeItem(/^node/).waitFor();
  return ms;
}

/** Collapses a cluster, makes its rows others, so that they are asked for again, and expands it: ms to the first job. */
async function expand(window: CodeWindow, cluster: Locator, change: () => Promise<void>): Promise<number> {
  const { workbench } = window;
  const twistie = cluster.locator('.monaco-tl-twistie');
  await twistie.click();
  await workbench.treeItem(/^job /).waitFor({ state: 'detached' });
  await change();
  return window.clickToRow(twistie, 'job ');
}

/** ms from the click to the row of the job with this number. */
async function showOlder(window: CodeWindow, next: number): Promise<number> {
  await window.workbench.page.locator('.sidebar').getByRole('tree').first().press('End');
  return window.clickToRow(window.workbench.treeItem(/^Show older/), `job ${next} `);
}

function tab({ workbench }: CodeWindow, name: string): Locator {
  return workbench.page.locator('.activitybar').getByRole('tab', { name: new RegExp(`^${name}`) });
}
