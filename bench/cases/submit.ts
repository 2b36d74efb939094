import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { taskOf } from '../../test/support/world';
import { Samples, timed, type Case } from '../case';
import { fillHistory } from '../history';

const PEER = 'append + fdatasync';

export const submit: Case = {
  name: 'submit',
  title: 'durable submit, call → acknowledged',
  peer: 'one appended line of 900 bytes and fdatasync, in this process',
  target: [
    { of: '0 jobs of history', against: PEER, most: 2 },
    { of: '100k jobs of history', against: PEER, most: 2 },
    { of: '100k jobs of history', against: '0 jobs of history', most: 1.2 },
  ],
  floor: 'one fdatasync',
  why: 'Beside the fdatasync a submit takes 0.12 ms: the record, its row in SQLite, its line in the journal, which is written at once, and a trip to Node’s thread pool, which flushes. The peer makes two such trips, of 0.03 to 0.05 ms each.',
  async run({ quick }) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-'));
    const histories: Readonly<Record<string, number>> = quick
      ? { '0': 0, '1k': 1000 }
      : { '0': 0, '1k': 1000, '100k': 100_000 };
    const engines: { label: string; engine: Engine }[] = [];
    const samples = new Samples();
    const file = await open(path.join(dir, 'lines'), 'a');
    const line = Buffer.from(`${'x'.repeat(899)}\n`);
    // A job with a device that a node without GPUs never offers would be refused: it waits for a host that is away.
    const task = taskOf('resources: {accelerators: V100:1}\nrun: echo hi');
    try {
      for (const [label, count] of Object.entries(histories)) {
        const home = path.join(dir, label);
        await fillHistory(home, count);
        const engine = await Engine.open({ home, sshConfigFile: '/dev/null' });
        await engine.addCluster({ name: 'lab', nodes: [{ name: 'away', destination: '127.0.0.1:1' }] });
        engines.push({ label: `${label} jobs of history`, engine });
      }
      for (let round = 0; round < (quick ? 4 : 12); round++) {
        for (const { label, engine } of engines) {
          for (let i = 0; i < 25; i++) {
            const ms = await timed(() => engine.submit(task, { cluster: 'lab', user: 'me' }));
            if (round > 0) samples.add(label, 'ms', ms);
          }
        }
        for (let i = 0; i < 25; i++) {
          const ms = await timed(async () => {
            await file.write(line);
            await file.datasync();
          });
          if (round > 0) samples.add(PEER, 'ms', ms);
        }
      }
      return { series: samples.series() };
    } finally {
      await file.close();
      for (const { engine } of engines) await engine.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
