// Builds dist/ (what ships) and, with --tests, out/test/ (mocha suites, bundled one by one). Options:
//   --production   minified, without source maps and what does not ship
//   --watch        again at every change
//   --cq DIR       nothing but cq, into DIR
//   --into DIR     into DIR instead of dist/
const esbuild = require('esbuild');
const fs = require('node:fs');
const path = require('node:path');

const has = (flag) => process.argv.includes(flag);
const production = has('--production');
const cqOnly = has('--cq') ? process.argv[process.argv.indexOf('--cq') + 1] : undefined;
const dist = cqOnly ?? (has('--into') ? process.argv[process.argv.indexOf('--into') + 1] : 'dist');

/** @type {import('esbuild').BuildOptions} */
const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: !production,
  minify: production,
  loader: { '.sh': 'text' },
  // cpu-features and ssh2's own crypto binding are optional native speed-ups; ssh2 works without them.
  external: ['vscode', 'cpu-features', '*.node'],
  logLevel: 'warning',
};

/**
 * The extension and `cq` in parts, which both share and which are loaded when they are needed: VS Code must not wait for
 * ssh and SQLite at its start, nor a terminal at `cq --help`.
 * esbuild divides only ES modules, which Node loads more slowly, so the parts become CommonJS afterwards.
 * @type {import('esbuild').BuildOptions}
 */
const programs = {
  ...common,
  entryPoints: { cq: 'src/cli/main.ts', ...(cqOnly === undefined ? { extension: 'src/extension.ts' } : {}) },
  outdir: dist,
  format: 'esm',
  splitting: true,
  // Beside the wasm, which is looked for in the folder of the part that loads it.
  chunkNames: 'part-[hash]',
  sourcemap: production ? false : 'inline',
  write: false,
  plugins: [{ name: 'parts', setup: (build) => build.onEnd(({ outputFiles }) => writeParts(outputFiles)) }],
};

function writeParts(files = []) {
  const names = new Set(files.map((file) => path.basename(file.path)));
  for (const old of fs.readdirSync(dist)) {
    if (/^part-\w+\.js$/.test(old) && !names.has(old)) fs.rmSync(path.join(dist, old));
  }
  for (const file of files) {
    // A module that is no ES module is copied member by member for each file that imports it; VS Code's has hundreds.
    const text = file.text.replace(
      /\bimport ?\* ?as ([\w$]+) from ?"vscode"/g,
      'const $1 = require("vscode")',
    );
    const { code } = esbuild.transformSync(text, {
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      minify: production,
      sourcemap: production ? false : 'inline',
      supported: { 'dynamic-import': false },
      // Node itself takes --env-file wherever it stands, unless a -- comes before.
      banner: path.basename(file.path) === 'cq.js' ? '#!/usr/bin/env -S node --' : '',
    });
    fs.writeFileSync(file.path, code);
  }
}

function testFiles(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(dir, entry.name);
    if (entry.isDirectory()) return testFiles(full);
    return /\.test\.ts$|^index\.ts$/.test(entry.name) ? [full] : [];
  });
}

async function main() {
  fs.mkdirSync(dist, { recursive: true });
  fs.copyFileSync(require.resolve('sql.js/dist/sql-wasm.wasm'), path.join(dist, 'sql-wasm.wasm'));
  const builds = [programs];
  // The demo is for those who have the repository; it does not ship.
  if (cqOnly === undefined && !production) {
    builds.push({ ...common, entryPoints: { demo: 'scripts/demo.ts' }, outdir: dist });
  }
  if (has('--tests')) {
    builds.push({
      ...common,
      entryPoints: testFiles('test'),
      outbase: 'test',
      outdir: 'out/test',
      packages: 'external',
      sourcemap: 'inline',
      minify: false,
    });
  }
  if (has('--watch')) {
    const contexts = await Promise.all(
      builds.map((options) => esbuild.context({ ...options, logLevel: 'info' })),
    );
    await Promise.all(contexts.map((context) => context.watch()));
    return;
  }
  await Promise.all(builds.map((options) => esbuild.build(options)));
}

main().catch(() => process.exit(1));
