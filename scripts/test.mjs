// `npm test`: all set-up, then every stage, then one line of counts. Options:
//   --only unit,node,vscode,ui,types,lint   only these stages
//   --grep PATTERN                          only the tests whose names match
import process from 'node:process';
import { optionsOf } from './options.mjs';
import { ensureBuilt, ensureDebian, ensureInstalled } from './setup.mjs';
import { stages, sum } from './testStages.mjs';

const { only, grep } = optionsOf(import.meta.url, { only: { type: 'string' }, grep: { type: 'string' } });
const chosen = chooseStages(only);
const inCi = Boolean(process.env.CI);

const setUp = await timed('Set-up', ensureInstalled);
const outcomes = [setUp];
if (setUp.failed.length === 0) {
  const build = await timed('Build', () => ensureBuilt({ tests: true }));
  outcomes.push(build);
  // Types and lint say more about why a build fails; the suites would only run what an older one left.
  const left =
    build.failed.length === 0 ? chosen : chosen.filter(({ name }) => name === 'types' || name === 'lint');
  for (const stage of left) outcomes.push(await timed(stage.title, () => runStage(stage)));
}
report(outcomes);

function chooseStages(list) {
  if (!list) return stages;
  const names = list.split(',');
  const unknown = names.filter((name) => !stages.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    console.error(`No stage ${unknown.join(', ')}: there are ${stages.map(({ name }) => name).join(', ')}.`);
    process.exit(2);
  }
  return stages.filter(({ name }) => names.includes(name));
}

async function runStage(stage) {
  const missing = await ensureDebian(stage.programs);
  if (missing.length === 0) return stage.run({ grep });
  console.log(
    `Skipped: this machine lacks ${missing.join(', ')}, and only root on Debian can have it installed from here.`,
  );
  return { passed: 0, failed: [], skipped: 1 };
}

/** Runs one part under its title and says how it went and how long it took; what it throws is a failure with its name. */
async function timed(title, part) {
  console.log(`\n── ${title}`);
  const start = Date.now();
  let counts = { passed: 0, failed: [], skipped: 0 };
  try {
    counts = (await part()) ?? counts;
  } catch (error) {
    console.error(error.message);
    counts.failed.push(title);
  }
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  return { title, seconds, ...counts };
}

function report(parts) {
  console.log('\n── Summary');
  for (const { title, seconds, passed, failed, skipped } of parts) {
    console.log(`${seconds.padStart(6)} s  ${title}: ${words({ passed, failed: failed.length, skipped })}`);
  }
  const total = sum(parts);
  for (const name of total.failed) console.log(`  failed: ${name}`);
  for (const name of total.unsteady) console.log(`  unsteady: ${name} failed among others and passed alone`);
  if (inCi && total.skipped > 0) console.log('  failed: in CI nothing may be skipped');
  const failed = total.failed.length;
  console.log(words({ passed: total.passed, failed, skipped: total.skipped }));
  process.exitCode = failed > 0 || (inCi && total.skipped > 0) ? 1 : 0;
}

function words({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
