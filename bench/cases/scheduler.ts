import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Samples, type Case } from '../case';

/** Bundled beside this case by run.mjs: it wants a process of its own with a garbage collector that can be called. */
const SCRIPT = path.resolve('out/bench/scheduler.js');

export const scheduler: Case = {
  name: 'scheduler',
  title: 'the scheduler alone on 1,000 nodes × 8 GPUs',
  peer: 'nothing comparable',
  target: [],
  floor: 'one look at what an event can change',
  run({ quick }) {
    if (quick || !existsSync(SCRIPT)) {
      return Promise.resolve({ series: [], notes: ['Only measured by a whole run.'] });
    }
    const text = execFileSync(process.execPath, ['--expose-gc', SCRIPT], { encoding: 'utf8' });
    const samples = new Samples();
    for (const line of text.trim().split('\n').slice(1)) {
      const [demands, pending, , , plan, , event] = line.trim().split(/\s+/);
      samples.add(`plan, ${pending ?? ''} pending, ${demands ?? ''} demands`, 'ms', Number(plan));
      samples.add(`event, ${pending ?? ''} pending, ${demands ?? ''} demands`, 'ms', Number(event));
    }
    return Promise.resolve({ series: samples.series(), notes: [`\`\`\`\n${text.trimEnd()}\n\`\`\``] });
  },
};
