// `npm run faults`: the whole fault suite, some twenty minutes of breaking things (docs/reliability.md). Options:
//   --grep PATTERN   only the tests whose names match
//   --seed NUMBER    throw the same dice as a run before, whose tests printed it
// How much of each: CLUSTER_QUEUE_FAULTS_KILLS, _CUTS, _JOBS, _SUBMITS, … as in test/faults/*.test.ts.
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { optionsOf } from './options.mjs';
import { root, runNode } from './processes.mjs';
import { ensureBuilt, ensureDebian, ensureInstalled } from './setup.mjs';

const { grep, seed } = optionsOf(import.meta.url, { grep: { type: 'string' }, seed: { type: 'string' } });
await ensureInstalled();
const missing = await ensureDebian(['sshd', 'ssh', 'faketime']);
if (missing.length > 0) throw new Error(`the fault suite needs ${missing.join(', ')}`);
await ensureBuilt({ tests: true });

const tests = path.join(root, 'out', 'test');
const folder = path.join(tests, 'faults');
const files = fs.readdirSync(folder).filter((name) => name.endsWith('.test.js'));
const args = [
  '--enable-source-maps',
  ...['--require', path.join(root, 'scripts/asShipped.cjs')],
  path.join(root, 'node_modules/mocha/bin/mocha.js'),
  ...(grep ? ['--grep', grep] : []),
  path.join(tests, 'unit', 'store', 'kill.test.js'),
  ...files.sort().map((name) => path.join(folder, name)),
];
const env = {
  ...process.env,
  CLUSTER_QUEUE_FAULTS: 'long',
  CQ_STORE_KILLS: process.env.CQ_STORE_KILLS ?? '300',
  ...(seed ? { CLUSTER_QUEUE_FAULTS_SEED: seed } : {}),
};
process.exitCode = (await runNode(args, { env })).code;
