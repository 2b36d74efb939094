// Builds dist/ (what ships) and, with --tests, out/test/ (mocha suites, bundled one by one).
const esbuild = require('esbuild');
const fs = require('node:fs');
const path = require('node:path');

const has = (flag) => process.argv.includes(flag);
const production = has('--production');

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

function testFiles(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(dir, entry.name);
    if (entry.isDirectory()) return testFiles(full);
    return /\.test\.ts$|^index\.ts$/.test(entry.name) ? [full] : [];
  });
}

async function main() {
  fs.mkdirSync('dist', { recursive: true });
  fs.copyFileSync(require.resolve('sql.js/dist/sql-wasm.wasm'), 'dist/sql-wasm.wasm');
  const builds = [
    {
      ...common,
      // The demo is for those who have the repository; it does not ship.
      entryPoints: { extension: 'src/extension.ts', ...(production ? {} : { demo: 'scripts/demo.ts' }) },
      outdir: 'dist',
    },
    {
      ...common,
      entryPoints: { cq: 'src/cli/main.ts' },
      outdir: 'dist',
      // Node itself takes --env-file wherever it stands, unless a -- comes before.
      banner: { js: '#!/usr/bin/env -S node --' },
    },
  ];
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
