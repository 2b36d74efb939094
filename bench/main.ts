import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cases } from './cases';
import { keep, printed, writeReport } from './report';

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, report: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !cases.some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(`No case ${unknown.join(', ')}: there are ${cases.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}
// A smoke run's figures are not worth keeping beside real ones.
const folder = path.resolve(values.quick ? 'bench/tmp' : 'bench');

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program} || [ -x /usr/sbin/${program} ]`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function main(): Promise<void> {
  const chosen = cases.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  for (const one of values.report ? [] : chosen) {
    try {
      const outcome = await one.run({ quick: values.quick, has });
      keep(folder, one, outcome);
      console.log(`${printed(one, outcome)}\n`);
    } catch (error) {
      process.exitCode = 1;
      console.error(
        `${one.name} could not be measured: ${error instanceof Error ? error.message : String(error)}\n`,
      );
    }
  }
  writeReport(folder, cases);
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
