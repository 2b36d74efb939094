// `npm run bench [-- CASE … | --quick | --report]`: installs what the peers need, bundles the benchmark, and runs it.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import process from 'node:process';
import esbuild from 'esbuild';
import { ensureInstalled } from '../scripts/setup.mjs';

/** Debian package by the program of a peer. */
const peers = {
  ssh: 'openssh-client',
  sshd: 'openssh-server',
  tsp: 'task-spooler',
  parallel: 'parallel',
  sbatch: 'slurm-wlm',
  munged: 'munge',
  rsync: 'rsync',
  chromium: 'chromium',
};

await ensureInstalled();
installPeers();
await esbuild.build({
  entryPoints: ['bench/main.ts', 'bench/scheduler.ts'],
  outdir: 'out/bench',
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  loader: { '.sh': 'text' },
  sourcemap: 'inline',
  logLevel: 'warning',
});
const words = ['--require', './scripts/asShipped.cjs', 'out/bench/main.js', ...process.argv.slice(2)];
process.exitCode = spawnSync(process.execPath, words, { stdio: 'inherit' }).status ?? 1;

// What is kept is held to the repository's format like everything else in it.
spawnSync(
  process.execPath,
  ['node_modules/prettier/bin/prettier.cjs', '--write', '--log-level=warn', 'bench'],
  {
    stdio: 'inherit',
  },
);

function installPeers() {
  const missing = Object.keys(peers).filter((program) => !isPresent(program));
  if (missing.length === 0) return;
  const packages = missing.map((program) => peers[program]);
  if (fs.existsSync('/etc/debian_version') && process.getuid?.() === 0) {
    console.log(`Installing Debian's ${packages.join(', ')} …`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
    spawnSync('apt-get', ['install', '-y', '-qq', ...packages], { stdio: 'inherit', env });
  }
  const lacking = missing.filter((program) => !isPresent(program));
  if (lacking.length > 0) console.log(`Without ${lacking.join(', ')}: cases leave out what needs it.`);
}

function isPresent(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  return folders.some((folder) => fs.existsSync(`${folder}/${program}`));
}
