// A desktop VS Code of the machine's own: the `code` on the PATH that really is one.
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { findProgram } from './processes.mjs';

/** Whether a window can be shown here at all. */
export function hasScreen() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
}

/**
 * The desktop VS Code whose `code` is on the PATH, or undefined.
 * Three things are called `code` and are none: the `remote-cli` of a Remote-SSH or code-server terminal, which can
 * only open files in the window it belongs to; the tunnel CLI; and on WSL the Windows program, to which the paths of
 * this side mean nothing. What tells a real one is its program beside it.
 * @returns {{cli: string, program: string} | undefined} the command line and the Electron program behind it
 */
export function findDesktopCode() {
  if (!hasScreen()) return undefined;
  const found = findProgram('code');
  if (!found) return undefined;
  const cli = fs.realpathSync(found);
  // …/Contents/Resources/app/bin/code, /usr/share/code/bin/code, …\Microsoft VS Code\bin\code.cmd
  const bin = path.dirname(cli);
  const candidates =
    process.platform === 'darwin'
      ? ['Electron', 'Code'].map((name) => path.resolve(bin, '../../../MacOS', name))
      : [path.resolve(bin, '..', process.platform === 'win32' ? 'Code.exe' : 'code')];
  const program = candidates.find((file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile());
  return program ? { cli, program } : undefined;
}
