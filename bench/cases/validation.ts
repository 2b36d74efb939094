import { parseTask } from '../../src/task';
import { Samples, timed, type Case } from '../case';

export const validation: Case = {
  name: 'validation',
  title: 'check of a task file',
  peer: 'nothing comparable',
  target: [
    { of: '50 lines', most: 1 },
    { of: '1,000 lines', most: 10 },
  ],
  floor: 'the YAML parser',
  async run({ quick }) {
    const texts = { '50 lines': text(50), '1,000 lines': text(1000) };
    const samples = new Samples();
    for (let i = 0; i < (quick ? 60 : 400); i++) {
      for (const [label, yaml] of Object.entries(texts)) {
        const ms = await timed(() => parseTask(yaml));
        // An editor checks at each keystroke: its code is warm.
        if (i >= 30) samples.add(label, 'ms', ms);
      }
    }
    return { series: samples.series() };
  },
};

function text(lines: number): string {
  const head = ['name: train', 'num_nodes: 2', 'resources:', '  accelerators: V100:4', '  cpus: 8+', 'envs:'];
  const envs = Array.from({ length: Math.floor(lines / 4) }, (_, i) => `  VALUE_${i}: "${i}"`);
  const script = lines - head.length - envs.length - 1;
  return [
    ...head,
    ...envs,
    'run: |',
    ...Array.from({ length: script }, (_, i) => `  python step.py --n ${i}`),
  ].join('\n');
}
