// The stages of `npm test`. Each returns its counts: how many passed, the names that failed, how many were skipped.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { runNode, root } from './processes.mjs';

/** Longer than any stage takes on a slow machine, short enough to end well before CI's own limit. */
const stageTimeout = 18 * 60_000;

/**
 * @typedef {{passed: number, failed: string[], skipped: number}} Counts
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
  { name: 'unit', title: 'Unit tests', programs: [], run: (options) => mocha(['unit'], 10_000, options) },
  {
    name: 'node',
    title: 'Node and engine tests, over real sshd',
    programs: ['sshd', 'ssh', 'busybox', 'fish', 'tcsh', 'zsh', 'rsync', 'faketime', 'nc'],
    run: (options) => mocha(otherFolders(), 60_000, options),
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
    failed: [timedOut ? `${name} (stopped after a quarter of an hour)` : name],
    skipped: 0,
  };
}

async function mocha(folders, timeout, { grep }) {
  const files = testFiles(folders);
  if (files.length === 0) return noTests(folders);
  const args = [
    '--enable-source-maps',
    path.join(root, 'node_modules/mocha/bin/mocha.js'),
    ...['--reporter', path.join(root, 'scripts/mochaReporter.mjs'), '--timeout', String(timeout)],
    ...(process.env.CI ? ['--forbid-only'] : []),
    // In CI Mocha would colour even a log file.
    ...(process.stdout.isTTY ? [] : ['--no-color']),
    ...(grep ? ['--grep', grep] : []),
    ...files,
  ];
  return counted(folders.join('+'), async (env) => {
    const { code, timedOut } = await runNode(args, { env, timeout: stageTimeout });
    return timedOut ? 'stopped after a quarter of an hour' : code;
  });
}

async function vscode({ grep }) {
  if (testFiles(['vscode']).length === 0) return noTests(['vscode']);
  return counted('vscode', async (env) => {
    // A process of its own, so that a host that hangs can be stopped with all it started.
    const args = [path.join(root, 'scripts/runInVscode.mjs')];
    const { code, timedOut } = await runNode(args, {
      env: { ...env, ...(grep ? { CLUSTER_QUEUE_TEST_GREP: grep } : {}) },
      timeout: stageTimeout,
    });
    return timedOut ? 'stopped after a quarter of an hour' : code;
  });
}

/** Runs Mocha somewhere and reads what its reporter counted; an end that no failure explains is a failure itself. */
async function counted(name, runMocha) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-counts-'));
  const file = path.join(folder, 'counts.json');
  try {
    const end = await runMocha({ ...process.env, CLUSTER_QUEUE_TEST_COUNTS: file });
    const counts = fs.existsSync(file)
      ? JSON.parse(fs.readFileSync(file, 'utf8'))
      : { passed: 0, failed: [], skipped: 0 };
    if (end !== 0 && counts.failed.length === 0) counts.failed.push(`${name}: ended with ${end}`);
    return counts;
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
  };
}
