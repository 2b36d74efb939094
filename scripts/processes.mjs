// Child processes for the scripts: found on the PATH, run to their end, stopped with all they started.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Full path of the first of `names` that is a program on the PATH (or in sbin), or undefined. */
export function findProgram(...names) {
  // Debian keeps sbin, where sshd lives, off an ordinary user's PATH.
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin'].filter(Boolean);
  const endings = process.platform === 'win32' ? ['.cmd', '.exe'] : [''];
  for (const name of names) {
    for (const folder of folders) {
      for (const ending of endings) {
        const file = path.resolve(folder, name + ending);
        if (isExecutable(file)) return file;
      }
    }
  }
  return undefined;
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs a program to its end, its output shown (default) or kept.
 * After `timeout` milliseconds it is stopped with all it started.
 * @returns {Promise<{code: number, output: string, timedOut: boolean}>} code 127 when it could not be started,
 *   128 when a signal ended it; `output` is empty when shown
 */
export function run(command, args, { cwd = root, env = process.env, keep = false, timeout = 0 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', keep ? 'pipe' : 'inherit', keep ? 'pipe' : 'inherit'],
      detached: canGroup && timeout > 0,
    });
    let output = '';
    let timedOut = false;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
    const forget = timeout > 0 ? stopWithUs(child) : () => {};
    const timer =
      timeout > 0 &&
      setTimeout(() => {
        timedOut = true;
        stopGroup(child);
      }, timeout);
    const finish = (code) => {
      clearTimeout(timer);
      forget();
      resolve({ code, output, timedOut });
    };
    child.once('error', (error) => {
      output += error.message;
      finish(127);
    });
    child.once('close', (code) => finish(code ?? 128));
  });
}

/** As `run`, for this Node and a script of the repository or of node_modules. */
export function runNode(args, options) {
  return run(process.execPath, args, options);
}

/** As `run`, for the npm that belongs to this Node. */
export function runNpm(args, options) {
  // Started by `npm test`, npm names its own script; a bare `npm` on Windows is a batch file that spawn refuses.
  const script = process.env.npm_execpath;
  return script?.endsWith('.js') ? runNode([script, ...args], options) : run('npm', args, options);
}

const canGroup = process.platform !== 'win32';

/** Starts a program in a process group of its own, so that `stopGroup` reaches its children too. */
export function spawnGroup(command, args, options) {
  return spawn(command, args, { ...options, detached: canGroup });
}

/** Ends a child and its process group: asked first, killed after two seconds. */
export async function stopGroup(child) {
  if (!signalGroup(child, 'SIGTERM')) return;
  for (let i = 0; i < 40; i++) {
    await delay(50);
    if (!signalGroup(child, 0)) return;
  }
  signalGroup(child, 'SIGKILL');
}

function signalGroup(child, signal) {
  if (child.pid === undefined) return false;
  try {
    process.kill(canGroup ? -child.pid : child.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Ends the child's group when this process ends in whatever way it can notice, so that nothing is left behind.
 * @returns {() => void} takes that back
 */
export function stopWithUs(child) {
  const kill = () => signalGroup(child, 'SIGKILL');
  const end = async (signal) => {
    await stopGroup(child);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('exit', kill);
  for (const signal of endings) process.once(signal, end);
  return () => {
    process.off('exit', kill);
    for (const signal of endings) process.off(signal, end);
  };
}

const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'];
