// The stages of `npm test`. Each returns its counts: how many passed, the names that failed, how many were skipped.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { runNode, root } from './processes.mjs';

/** Longer than any stage takes on a slow machine, short enough to end well before CI's own limit. */
const stageTimeout = 18 * 60_000;

/** More suites than this that fail are no accident. */
const MOST_UNSTEADY = 4;

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {string[]} failed
 * @property {number} skipped
 * @property {string[]} [unsteady] what failed among others and passed alone
 * @typedef {object} Stage
 * @property {string} name for `--only` and the report
 * @property {string} title
 * @property {string[]} programs that the machine must have (see `ensureDebian`)
 * @property {(options: {grep?: string}) => Promise<Counts>} run
 */

/** @type {Stage[]} */
export const stages = [
  {
    name: 'types',
    title: 'Types',
    programs: [],
    run: () => check('tsc', ['typescript/bin/tsc', '--noEmit']),
  },
  { name: 'lint', title: 'Lint', programs: [], run: () => lint() },
  {
    name: 'unit',
    title: 'Unit tests',
    programs: [],
    run: (options) => mocha(['unit'], 10_000, { ...options, jobs: 2 }),
  },
  {
    name: 'node',
    title: 'Node and engine tests, over real sshd',
    programs: ['sshd', 'ssh', 'busybox', 'fish', 'tcsh', 'zsh', 'rsync', 'faketime', 'nc'],
    // Most of their time they wait for something; side by side they take half of it.
    run: (options) => mocha(otherFolders(), 60_000, { ...options, jobs: 2 }),
  },
  {
    name: 'vscode',
    title: "The extension's suite, in a real VS Code",
    programs: ['chromium'],
    run: (options) => vscode(options),
  },
  {
    name: 'ui',
    title: 'A person at the workbench, played by Playwright',
    programs: ['chromium', 'ssh'],
    run: (options) => mocha(['ui'], 120_000, options),
  },
];

async function lint() {
  const results = [
    await check('eslint', ['eslint/bin/eslint.js', '.', '--max-warnings', '0']),
    await check('prettier', ['prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.']),
  ];
  return sum(results);
}

/** A tool whose success is one test passed and whose words matter only when it fails. */
async function check(name, [script, ...args]) {
  const file = path.join(root, 'node_modules', script);
  const { code, output, timedOut } = await runNode([file, ...args], { keep: true, timeout: stageTimeout });
  if (code === 0) return { passed: 1, failed: [], skipped: 0 };
  console.log(output);
  return {
    passed: 0,
    failed: [timedOut ? `${name} (stopped after ${stageTimeout / 60_000} minutes)` : name],
    skipped: 0,
  };
}

async function mocha(folders, timeout, { grep, jobs = 1 }) {
  const files = testFiles(folders);
  if (files.length === 0) return noTests(folders);
  const args = [
    '--enable-source-maps',
    ...['--require', path.join(root, 'scripts/asShipped.cjs')],
    path.join(root, 'node_modules/mocha/bin/mocha.js'),
    ...['--reporter', path.join(root, 'scripts/mochaReporter.mjs'), '--timeout', String(timeout)],
    ...(process.env.CI ? ['--forbid-only'] : []),
    // In CI Mocha would colour even a log file.
    ...(process.stdout.isTTY ? [] : ['--no-color']),
  ];
  return steadied(folders.join('+'), grep, (env, only) =>
    runNode(
      [
        ...args,
        ...(only ? ['--grep', only] : []),
        ...(only || jobs === 1 ? [] : ['--parallel', '--jobs', String(jobs)]),
        ...files,
      ],
      { env, timeout: stageTimeout },
    ),
  );
}

async function vscode({ grep }) {
  if (testFiles(['vscode']).length === 0) return noTests(['vscode']);
  // A process of its own, so that a host that hangs can be stopped with all it started.
  const args = [path.join(root, 'scripts/runInVscode.mjs')];
  return steadied('vscode', grep, (env, only) =>
    runNode(args, {
      env: { ...env, ...(only ? { CLUSTER_QUEUE_TEST_GREP: only } : {}) },
      timeout: stageTimeout,
    }),
  );
}

/**
 * Runs Mocha somewhere, and in CI the suites of what failed once more, alone: hours of work must not wait for a window that
 * opened late. What then passes is named as unsteady: there is a race to be found, in the test or in what it tests.
 */
async function steadied(name, grep, runMocha) {
  const first = await outcomes(name, (env) => runMocha(env, grep));
  const suites = new Set(first.failed.map(({ suite }) => suite));
  if (!process.env.CI || suites.size === 0 || suites.size > MOST_UNSTEADY || suites.has(undefined))
    return counts(first, []);
  console.log('\n── Once more, alone: what failed');
  const only = [...suites].map((suite) => `^${suite.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')} `).join('|');
  const second = await outcomes(name, (env) => runMocha(env, only));
  // A hook that failed is not among those that pass; its suite's tests are.
  const passesNow = ({ title, suite }) =>
    second.failed.length === 0 &&
    second.passed.some((passed) => passed === title || (isHook(title) && passed.startsWith(`${suite} `)));
  const unsteady = first.failed.filter(passesNow).map(({ title }) => title);
  const failed = [
    ...first.failed.filter((one) => !passesNow(one)),
    ...second.failed.filter(({ title }) => !first.failed.some((one) => one.title === title)),
  ];
  const before = new Set(first.passed);
  const passed = [...first.passed, ...second.passed.filter((title) => !before.has(title))];
  const skipped = first.skipped.filter((title) => !passed.includes(title));
  return counts({ passed, failed, skipped }, unsteady);
}

function isHook(title) {
  return / "(before|after) (all|each)" hook/.test(title);
}

function counts({ passed, failed, skipped }, unsteady) {
  return {
    passed: passed.length,
    failed: failed.map(({ title }) => title),
    skipped: skipped.length,
    unsteady,
  };
}

/** What became of each test in one run of Mocha, by its reporter; an end that no failure explains is a failure itself. */
async function outcomes(name, runMocha) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-counts-'));
  const file = path.join(folder, 'counts.json');
  try {
    const { code, timedOut } = await runMocha({ ...process.env, CLUSTER_QUEUE_TEST_COUNTS: file });
    const told = fs.existsSync(file)
      ? JSON.parse(fs.readFileSync(file, 'utf8'))
      : { passed: [], failed: [], skipped: [] };
    const end = timedOut ? `stopped after ${stageTimeout / 60_000} minutes` : `ended with ${code}`;
    if (code !== 0 && told.failed.length === 0) told.failed.push({ title: `${name}: ${end}` });
    return told;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** All of test/ that has no stage of its own, so that no new folder is forgotten. */
function otherFolders() {
  return fs
    .readdirSync(path.join(root, 'test'))
    .filter((name) => !['unit', 'vscode', 'ui', 'support'].includes(name));
}

function noTests(folders) {
  return { passed: 0, failed: [`no tests in test/${folders.join(', test/')}`], skipped: 0 };
}

function testFiles(folders) {
  return folders
    .map((folder) => path.join(root, 'out', 'test', folder))
    .filter((folder) => fs.existsSync(folder))
    .flatMap((folder) =>
      fs
        .readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.test.js'))
        .sort()
        .map((name) => path.join(folder, name)),
    );
}

/** The counts of several runs as one. */
export function sum(results) {
  return {
    passed: results.reduce((total, { passed }) => total + passed, 0),
    failed: results.flatMap(({ failed }) => failed),
    skipped: results.reduce((total, { skipped }) => total + skipped, 0),
    unsteady: results.flatMap(({ unsteady }) => unsteady ?? []),
  };
}
