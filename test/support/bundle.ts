import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import path from 'node:path';

/** Builds what ships into a folder. */
export function buildBundle(into: string): void {
  execFileSync(process.execPath, ['esbuild.js', '--production', '--into', into], { stdio: 'pipe' });
}

/** The files of a built extension that VS Code loads to activate it, and their size in bytes. */
export function loadedAtStart(folder: string): { files: string[]; bytes: number } {
  const script = `${ANYTHING}; require(process.argv[1]); console.log(JSON.stringify(Object.keys(require.cache)))`;
  const main = path.join(folder, 'extension.js');
  const printed = execFileSync(process.execPath, ['-e', script, main], { encoding: 'utf8' });
  const files = JSON.parse(printed) as string[];
  return { files, bytes: files.reduce((sum, file) => sum + statSync(file).size, 0) };
}

/** Stands for the module `vscode`, of which loading only takes members. */
const ANYTHING = `
const anything = new Proxy(function () {}, {
  get: (target, key) => (key === 'prototype' ? target.prototype : anything),
  construct: () => anything,
});
const { _load } = module.constructor;
module.constructor._load = function (name, ...others) {
  return name === 'vscode' ? anything : _load.call(this, name, ...others);
}`;
