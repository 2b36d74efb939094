// What stands behind `npm start --`, `npm test --` and the like.
import fs from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * The options of a script, as `parseArgs` has them. Ends the process where there is nothing to run: after --help with the
 * comment at the script's head, and with exit code 2 for what the script does not take.
 */
export function optionsOf(script, options) {
  try {
    const { help, ...values } = parseArgs({
      options: { ...options, help: { type: 'boolean', short: 'h' } },
    }).values;
    if (!help) return values;
    console.log(headOf(script));
    process.exit(0);
  } catch (error) {
    console.error(`${error.message.replace(/\. .*/, '')}.\n${headOf(script)}`);
    process.exit(2);
  }
}

function headOf(script) {
  const lines = fs.readFileSync(fileURLToPath(script), 'utf8').split('\n');
  const head = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('//')),
  );
  return head.map((line) => line.replace(/^\/\/ ?/, '')).join('\n');
}
