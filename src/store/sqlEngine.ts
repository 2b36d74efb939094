import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import initSqlJs from 'sql.js';

/** sql.js, compiled; one may serve many stores. */
export type SqlEngine = initSqlJs.SqlJsStatic;

/** Compiles SQLite's WebAssembly (about 30 ms). `wasmPath` defaults to the file beside the bundle, else the package's. */
export function loadSqlEngine(wasmPath = defaultWasmPath()): Promise<SqlEngine> {
  return initSqlJs({ locateFile: () => wasmPath });
}

function defaultWasmPath(): string {
  const besideBundle = join(__dirname, 'sql-wasm.wasm');
  // Not `require.resolve`: the bundler would try to follow it, and the shipped extension has no node_modules.
  return existsSync(besideBundle)
    ? besideBundle
    : createRequire(__filename).resolve('sql.js/dist/sql-wasm.wasm');
}
