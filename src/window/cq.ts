import { chmod, mkdir, readlink, symlink, unlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';

/**
 * Puts `cq` on the PATH of this window's terminals: a small script that runs the bundled dist/cq.js by the Node that the
 * extension itself runs by, so that no other is needed.
 */
export async function offerCq(context: vscode.ExtensionContext): Promise<string> {
  const folder = path.join(context.globalStorageUri.fsPath, 'bin');
  const cq = context.asAbsolutePath(path.join('dist', 'cq.js'));
  await mkdir(folder, { recursive: true });
  const windows = process.platform === 'win32';
  const file = path.join(folder, windows ? 'cq.cmd' : 'cq');
  // Without setlocal the variable would stay in the shell, and the next `code` there be a Node.
  const script = windows
    ? `@setlocal\r\n@set ELECTRON_RUN_AS_NODE=1\r\n@"${process.execPath}" -- "${cq}" %*\r\n`
    : `#!/bin/sh\nCLUSTER_QUEUE_CQ=${quoted(file)} ELECTRON_RUN_AS_NODE=1 exec ${quoted(process.execPath)} -- ${quoted(cq)} "$@"\n`;
  await writeFile(file, script);
  await chmod(file, 0o755);
  context.environmentVariableCollection.prepend('PATH', `${folder}${path.delimiter}`);
  return file;
}

/** Links `cq` into ~/.local/bin, for other shells; returns the link. @throws Error when something else is there */
export async function installCq(file: string): Promise<string> {
  // Windows lets hardly anybody make links, and has no such folder on the PATH.
  if (process.platform === 'win32')
    throw new Error(
      vscode.l10n.t(
        'Terminals of VS Code have cq; for other shells add this folder to your PATH: {0}',
        path.dirname(file),
      ),
    );
  const link = path.join(os.homedir(), '.local', 'bin', path.basename(file));
  await mkdir(path.dirname(link), { recursive: true });
  const there = await readlink(link).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(vscode.l10n.t('{0} is there already and is not a link of ours: remove it first.', link));
  });
  if (there !== undefined) await unlink(link);
  await symlink(file, link);
  return link;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
