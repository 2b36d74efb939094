// Runs the extension's suite in a real VS Code: a desktop one where there is one, its server elsewhere.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { format, stripVTControlCharacters } from 'node:util';
import { chromiumArgs, findChromium } from './browser.mjs';
import { findDesktopCode, hasScreen } from './desktopCode.mjs';
import { root } from './processes.mjs';
import { startServer } from './vscodeServer.mjs';

// Offline, and on a loopback address, the workbench misses its service worker and its gallery.
const noise = /Service Worker|ENOTFOUND|ECONNREFUSED|queryRawGalleryExtensions/;
const testsPath = path.join(root, 'out', 'test', 'vscode', 'index.js');

process.exitCode = await runInVscode(process.env);

/**
 * Runs the suite on a copy of examples/ with a home of its own, so that nothing of the person's is touched.
 * @param {NodeJS.ProcessEnv} env reaches the suite: the file for its counts, the pattern of what to run
 * @returns {Promise<number>} 0 when all passed
 * @throws {Error} when no host could be started
 */
async function runInVscode(env) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-vscode-'));
  const world = { workspace: path.join(scratch, 'workspace'), userDir: path.join(scratch, 'vscode') };
  const home = path.join(scratch, 'home');
  for (const dir of [world.workspace, home]) fs.mkdirSync(dir);
  fs.cpSync(path.join(root, 'examples'), world.workspace, { recursive: true });
  // OpenSSH finds a person's config without asking $HOME, so it is given one.
  const sshConfig = path.join(home, 'ssh_config');
  fs.writeFileSync(sshConfig, '');
  const own = { CLUSTER_QUEUE_HOME: path.join(home, 'queue'), CLUSTER_QUEUE_SSH_CONFIG: sshConfig };
  world.env = { ...env, HOME: home, ...own };
  try {
    const program = await desktopProgram();
    return program ? await inDesktop(program, world) : await inServer(world);
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Which host: CLUSTER_QUEUE_TEST_HOST says `desktop` or `server`; unset, CI and a machine with no screen take the server. */
async function desktopProgram() {
  const wish = process.env.CLUSTER_QUEUE_TEST_HOST;
  if (wish === 'server' || (wish !== 'desktop' && (process.env.CI || !hasScreen()))) return undefined;
  const local = findDesktopCode();
  if (local) return local.program;
  const { downloadAndUnzipVSCode, SilentReporter } = await import('@vscode/test-electron');
  const cachePath = path.join(root, '.vscode-test');
  try {
    return await downloadAndUnzipVSCode({
      version: 'stable',
      cachePath,
      timeout: 5000,
      reporter: new SilentReporter(),
    });
  } catch (error) {
    if (wish === 'desktop') throw error;
    console.log(
      `No desktop VS Code here and no download of one (${error.message}): its server from npm is used.`,
    );
    return undefined;
  }
}

async function inDesktop(program, { workspace, userDir, env }) {
  console.log(`In the desktop VS Code ${program}`);
  const { runTests, TestRunFailedError } = await import('@vscode/test-electron');
  try {
    return await runTests({
      vscodeExecutablePath: program,
      extensionDevelopmentPath: root,
      extensionTestsPath: testsPath,
      extensionTestsEnv: env,
      launchArgs: [
        workspace,
        ...[
          '--user-data-dir',
          userDir,
          '--disable-extensions',
          '--disable-workspace-trust',
          '--skip-welcome',
        ],
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ],
    });
  } catch (error) {
    if (error instanceof TestRunFailedError) return error.code ?? 1;
    throw error;
  }
}

async function inServer({ workspace, userDir, env }) {
  console.log("In VS Code's server, opened by a headless Chromium");
  const { chromium } = await import('playwright-core');
  const executablePath = findChromium();
  if (!executablePath)
    throw new Error('No Chromium to open the workbench with: install chromium or Google Chrome.');
  const server = await startServer({ userDir, env, folder: workspace, extensionDir: root, testsPath });
  const browser = await chromium.launch({ executablePath, args: chromiumArgs });
  try {
    const page = await browser.newPage();
    await page.exposeFunction('codeAutomationLog', showSuite);
    const exit = new Promise((resolve, reject) => {
      void page.exposeFunction('codeAutomationExit', resolve);
      page.once('crash', () => reject(new Error('The page with VS Code crashed.')));
    });
    await page.goto(server.url);
    return await exit;
  } finally {
    await browser.close();
    await server.stop();
  }
}

/** What of the workbench's console is the suite's: Mocha's lines, which alone are coloured, and what the host says on failing. */
function showSuite(type, args) {
  const text = format(...args);
  const isMocha = text.includes('\u001b[');
  if (isMocha || process.env.CLUSTER_QUEUE_TEST_VERBOSE) {
    console.log(process.stdout.isTTY ? text : stripVTControlCharacters(text));
  } else if (type === 'error' && !noise.test(text)) {
    console.error(text);
  }
}
