// What a fresh clone needs before anything runs: packages, a build, and the machine's own programs.
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { findProgram, root, run, runNode, runNpm } from './processes.mjs';

/** Installs node_modules when missing or older than the lock file. @throws {Error} when npm fails */
export async function ensureInstalled() {
  const wanted = modified(path.join(root, 'package-lock.json'));
  const installed = modified(path.join(root, 'node_modules', '.package-lock.json'));
  if (installed >= wanted) return;
  say('Installing the npm packages (npm ci) …');
  // NODE_ENV=production would leave out esbuild and everything else that builds.
  const { code } = await runNpm(['ci', '--include=dev', '--prefer-offline', '--loglevel=error']);
  if (code !== 0) throw new Error(`npm ci failed with exit code ${code}; its words are above.`);
}

/** Bundles dist/, and with `tests` out/test/ afresh, so that a deleted test is gone there too. @throws {Error} */
export async function ensureBuilt({ tests = false } = {}) {
  if (tests) fs.rmSync(path.join(root, 'out', 'test'), { recursive: true, force: true });
  const { code } = await runNode(['esbuild.js', ...(tests ? ['--tests'] : [])]);
  if (code !== 0) throw new Error('The build failed; the errors are above.');
}

/** Debian package by the program that the tests need of it. */
const packages = {
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  chromium: 'chromium',
  busybox: 'busybox',
  fish: 'fish',
  tcsh: 'tcsh',
  zsh: 'zsh',
  rsync: 'rsync',
  faketime: 'faketime',
  nc: 'netcat-openbsd',
};

/**
 * Makes the named programs present: on Debian as root the missing ones are installed.
 * @param {(keyof packages)[]} programs
 * @returns {Promise<string[]>} Debian packages that are still missing, by name
 */
export async function ensureDebian(programs) {
  const missing = programs.filter((name) => !isPresent(name));
  if (missing.length === 0) return [];
  if (fs.existsSync('/etc/debian_version') && process.getuid?.() === 0) {
    const names = missing.map((name) => packages[name]);
    say(`Installing Debian's ${names.join(', ')} …`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await updateOnce(env);
    const { code, output } = await run('apt-get', ['install', '-y', '-qq', ...names], { env, keep: true });
    if (code !== 0) say(output);
  }
  return missing.filter((name) => !isPresent(name)).map((name) => packages[name]);
}

let updated;
function updateOnce(env) {
  updated ??= run('apt-get', ['update', '-qq'], { env, keep: true });
  return updated;
}

function isPresent(program) {
  const names = program === 'chromium' ? ['chromium', 'chromium-browser', 'google-chrome'] : [program];
  return findProgram(...names) !== undefined;
}

function modified(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function say(text) {
  console.log(text);
}
