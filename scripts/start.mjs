// `npm start`: from a fresh clone to a VS Code with the extension on examples/. Options:
//   --headless     no window: the worked example in this terminal, exit code 0 when it came out right
//   --no-browser   only start the server and print its address
import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { openInBrowser } from './browser.mjs';
import { findDesktopCode } from './desktopCode.mjs';
import { ensureServer } from './installServer.mjs';
import { optionsOf } from './options.mjs';
import { root, runNode } from './processes.mjs';
import { ensureBuilt, ensureInstalled } from './setup.mjs';
import { startServer } from './vscodeServer.mjs';

const options = optionsOf(import.meta.url, {
  headless: { type: 'boolean' },
  'no-browser': { type: 'boolean' },
});
const examples = path.join(root, 'examples');

const desktop = options['no-browser'] ? undefined : findDesktopCode();

try {
  // Both take their time from the network, and neither needs the other.
  await Promise.all([ensureInstalled(), options.headless || desktop ? undefined : ensureServer()]);
  console.log('Building the extension …');
  await ensureBuilt();
  if (options.headless) {
    process.exitCode = (await runNode([path.join(root, 'dist', 'demo.js')])).code;
  } else {
    await (desktop ? inDesktop(desktop) : inBrowser());
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** A new window of the person's own VS Code, with their settings and clusters; lasts until it is closed. */
async function inDesktop({ cli, program }) {
  console.log(`Opening VS Code (${program}) on ${examples}`);
  console.log(
    'Right-click a task file there and pick "Exec on Cluster…". Close the window to end, or press Ctrl-C here.',
  );
  const args = [`--extensionDevelopmentPath=${root}`, '--new-window', '--wait', examples];
  // Windows' `code` is a batch file, which only a shell can start.
  const inShell = process.platform === 'win32';
  const quoted = inShell ? args.map((arg) => `"${arg}"`) : args;
  const child = spawn(inShell ? `"${cli}"` : cli, quoted, { stdio: 'inherit', shell: inShell });
  process.once('SIGINT', () => console.log('\nThe window stays open; close it when you are done.'));
  process.exitCode = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 0));
  });
}

/** VS Code's server and the system's browser; lasts until Ctrl-C. */
async function inBrowser() {
  console.log(
    options['no-browser']
      ? "Starting VS Code's server …"
      : "No desktop VS Code here: starting VS Code's server …",
  );
  const { url, ended } = await startServer({
    userDir: path.join(root, '.vscode-test', 'start'),
    folder: examples,
    extensionDir: root,
    install: true,
  });
  const opened = !options['no-browser'] && (await openInBrowser(url));
  console.log(
    `\n${opened ? 'VS Code opens in your browser. Its address:' : 'Open VS Code in a browser:'}\n\n  ${url}\n`,
  );
  if (!opened) {
    const { port } = new URL(url);
    console.log(
      `From another machine, first: ssh -L ${port}:127.0.0.1:${port} ${process.env.USER ?? 'you'}@<this machine>`,
    );
  }
  console.log('Right-click a task file there and pick "Exec on Cluster…". Ctrl-C here ends it.');
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => (asked = true));
  await ended;
  if (!asked) throw new Error("VS Code's server ended by itself.");
  console.log("\nVS Code's server is stopped.");
}
