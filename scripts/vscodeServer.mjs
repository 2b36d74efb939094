// Runs VS Code's server, to be opened in a browser: by `npm start` for a person, by the tests for Playwright.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import querystring from 'node:querystring';
import { clearInterval, setInterval } from 'node:timers';
import { ensureServer } from './installServer.mjs';
import { spawnGroup, stopGroup, stopWithUs } from './processes.mjs';

/** Nothing on the screen but the workbench: no trust question, welcome page, chat or update notes. */
const quietSettings = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'extensions.ignoreRecommendations': true,
  'telemetry.telemetryLevel': 'off',
};

/**
 * Starts a server on loopback, guarded by a token of its own, since other people may have accounts on the machine.
 *
 * @param {object} options
 * @param {string} options.userDir settings, state and logs; made when missing
 * @param {string} [options.folder] the folder that the workbench opens
 * @param {string} [options.extensionDir] an extension to load from its source folder
 * @param {readonly string[]} [options.besides] folders of extensions to have as installed ones besides
 * @param {string} [options.testsPath] module whose `run()` the extension host calls, as `extensionTestsPath`
 * @param {boolean} [options.install] have the extension as an installed one: no test driver, a short address
 * @param {Record<string, unknown>} [options.settings] on top of the quiet ones
 * @param {NodeJS.ProcessEnv} [options.env] environment of the server and so of the extension
 * @param {number} [options.port] free one by default
 * @returns {Promise<{url: string, stop: () => Promise<void>, ended: Promise<void>}>} the address to open; `stop` ends
 *   all it started; `ended` resolves when it is over
 * @throws {Error} when it does not come up within a minute, with the last of its words
 */
export async function startServer(options) {
  const { userDir, extensionDir, settings = {}, env = process.env, port = 0 } = options;
  const server = await ensureServer();
  const dirs = {
    user: path.join(userDir, 'u'),
    extensions: path.join(userDir, 'e'),
    server: path.join(userDir, 's'),
  };
  for (const dir of Object.values(dirs)) fs.mkdirSync(dir, { recursive: true });
  for (const scope of ['User', 'Machine']) writeSettings(path.join(dirs.user, scope), settings);
  const installed = [...(options.install && extensionDir ? [extensionDir] : []), ...(options.besides ?? [])];
  for (const dir of installed) linkExtension(dir, dirs.extensions);

  const tokenFile = path.join(userDir, 'token');
  const token = randomBytes(16).toString('hex');
  fs.writeFileSync(tokenFile, token, { mode: 0o600 });
  const log = path.join(userDir, 'server.log');
  const args = [
    server.main,
    ...['--host', '127.0.0.1', '--port', String(port), '--connection-token-file', tokenFile],
    ...['--user-data-dir', dirs.user, '--extensions-dir', dirs.extensions, '--server-data-dir', dirs.server],
    ...['--accept-server-license-terms', '--telemetry-level', 'off'],
    // Without it the server ignores the payload that names the extension under test.
    ...(options.install ? [] : ['--enable-smoke-test-driver']),
  ];
  // Its words go to a file: half of them are about native modules that nothing here needs.
  const words = fs.openSync(log, 'w');
  const child = spawnGroup(server.node, args, { env, stdio: ['ignore', words, words] });
  fs.closeSync(words);
  const forget = stopWithUs(child);
  const ended = new Promise((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    await stopGroup(child);
    forget();
  };
  try {
    const address = `http://127.0.0.1:${await listening(child, log)}/`;
    return { url: address + query(options, token), stop, ended };
  } catch (error) {
    await stop();
    throw error;
  }
}

function query({ folder, extensionDir, testsPath, install }, token) {
  // In the address, not as --default-folder: that opens it under an authority that the extension host does not use, and
  // no diagnostic would reach an editor.
  const entries = { tkn: token, ...(folder ? { folder } : {}) };
  if (!install) {
    const payload = [['skipWelcome', 'true']];
    if (extensionDir) payload.push(['extensionDevelopmentPath', remote(extensionDir)]);
    if (testsPath) payload.push(['extensionTestsPath', remote(testsPath)]);
    entries.payload = JSON.stringify(payload);
  }
  return '?' + querystring.stringify(entries);
}

/** The authority is the word `remote`, whatever the host and port. */
function remote(file) {
  return `vscode-remote://remote${path.resolve(file)}`;
}

function writeSettings(folder, settings) {
  const file = path.join(folder, 'settings.json');
  fs.mkdirSync(folder, { recursive: true });
  // What a person has set in a server started before stays.
  if (fs.existsSync(file)) return;
  fs.writeFileSync(file, JSON.stringify({ ...quietSettings, ...settings }, undefined, 2));
}

function linkExtension(source, extensions) {
  const { publisher, name, version } = JSON.parse(fs.readFileSync(path.join(source, 'package.json'), 'utf8'));
  const link = path.join(extensions, `${publisher}.${name}-${version}`);
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.resolve(source), link, 'dir');
}

/** The port, once the server says that it listens. */
function listening(child, log) {
  return new Promise((resolve, reject) => {
    const fail = (why) => {
      done();
      reject(new Error(`VS Code's server ${why}. The end of its log, ${log}:\n${tail(log)}`));
    };
    const look = () => {
      const port = /agent listening on (\d+)/.exec(fs.readFileSync(log, 'utf8'))?.[1];
      if (!port) return;
      done();
      resolve(port);
    };
    // Its output is a file, so that a server outlives nobody's pipe; a file has no event for "one more line".
    const poll = setInterval(look, 50);
    const late = setTimeout(() => fail('did not start within a minute'), 60_000);
    const ended = (code) => fail(`ended with ${code}`);
    const unable = (error) => fail(`could not be started (${error.message})`);
    const done = () => {
      clearInterval(poll);
      clearTimeout(late);
      child.off('exit', ended);
      child.off('error', unable);
    };
    child.once('exit', ended);
    child.once('error', unable);
  });
}

const noise =
  /bindings file|Tried:|^\s*(→|at |tries|'|\]|\}|$)|sqlite3|native-watchdog|reconnection-grace-time/;

function tail(log) {
  const lines = fs.readFileSync(log, 'utf8').split('\n');
  return lines
    .filter((line) => !noise.test(line))
    .slice(-20)
    .join('\n');
}
