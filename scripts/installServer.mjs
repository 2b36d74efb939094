// Gets VS Code's server from npm into .vscode-test/: no root, no compiler, no download but the registry's.
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { root, runNpm } from './processes.mjs';

const codeServer = '4.139.1';
const node = '24.21.0';
const recipe = `code-server ${codeServer}, node ${node}, stand-ins 1`;
const standIns = ['spdlog', 'native-watchdog'];

/**
 * Installs the server unless it is there already; two scripts at once wait for each other.
 * @returns {Promise<{main: string, node: string}>} the server's main script and the Node that runs it
 * @throws {Error} when npm fails
 */
export async function ensureServer() {
  const folder = path.join(root, '.vscode-test', `server-${codeServer}`);
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const unlock = await lock(`${folder}.lock`);
  try {
    // The marker is written last, so an interrupted install is found out and done again.
    const marker = path.join(folder, 'installed');
    if (!fs.existsSync(marker) || fs.readFileSync(marker, 'utf8') !== recipe) {
      await install(folder);
      fs.writeFileSync(marker, recipe);
    }
  } finally {
    unlock();
  }
  return {
    main: path.join(folder, 'node_modules/code-server/lib/vscode/out/server-main.js'),
    node: ownNode() ?? path.join(folder, 'node_modules', nodePackage(), 'bin', 'node'),
  };
}

async function install(folder) {
  console.log("Getting VS Code's server from npm (once, about 20 s) …");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  // A package.json of its own keeps npm from climbing up to the repository's.
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  const wanted = [`code-server@${codeServer}`, ...(ownNode() ? [] : [`${nodePackage()}@${node}`])];
  // --force: code-server asks for a newer Node than the one that runs npm. Its install scripts compile and are not needed.
  await npm(folder, ['install', ...wanted, '--ignore-scripts', '--force']);
  const server = path.join(folder, 'node_modules/code-server/lib/vscode');
  await npm(server, ['install', '--omit=dev', '--ignore-scripts', '--legacy-peer-deps']);
  for (const name of standIns) {
    const target = path.join(server, 'node_modules/@vscode', name);
    fs.copyFileSync(path.join(root, 'scripts/standIns', `${name}.js`), path.join(target, 'index.js'));
  }
}

async function npm(cwd, args) {
  // Under `npm test` the environment carries the outer project's settings, which would win over these.
  const outer = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_(?!registry|cafile|.*proxy)|package_)/i.test(name),
  );
  const quiet = ['--loglevel=error', '--no-audit', '--no-fund', '--no-progress'];
  const { code, output } = await runNpm([...args, ...quiet], {
    cwd,
    env: Object.fromEntries(outer),
    keep: true,
  });
  if (code !== 0) throw new Error(`Could not get VS Code's server: npm ended with ${code}.\n${output}`);
}

/** The server needs Node 24; the one that runs this is good when it is that new. */
function ownNode() {
  return Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : undefined;
}

function nodePackage() {
  return `node-${process.platform}-${process.arch}`;
}

/** Takes a lock file that names its owner's process, so that a dead owner's is not waited for. */
async function lock(file) {
  for (;;) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => fs.rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isStale(file)) fs.rmSync(file, { force: true });
    else await delay(250);
  }
}

function isStale(file) {
  try {
    const owner = Number(fs.readFileSync(file, 'utf8'));
    // Between its creation and its first byte the file is empty: not stale, only young.
    if (owner === 0) return Date.now() - fs.statSync(file).mtimeMs > 5000;
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
