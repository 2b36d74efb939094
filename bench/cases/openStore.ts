import { mkdtempSync, rmSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Store } from '../../src/store';
import { Samples, timed, type Case } from '../case';
import { fillHistory } from '../history';
import { bash } from '../lab';

const PEER = 'SQLite, all rows read';
const LABEL = 'store of 100k jobs';

export const openStore: Case = {
  name: 'open-store',
  title: 'opening a store of 100,000 jobs',
  peer: 'the C SQLite library (by Python’s sqlite3, which every Debian has) that opens the same file and reads every job',
  target: [
    { of: LABEL, most: 1000 },
    { of: LABEL, against: PEER, most: 5 },
  ],
  floor: 'reading the file once',
  async run({ quick, has }) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-'));
    const samples = new Samples();
    try {
      await fillHistory(dir, quick ? 5000 : 100_000);
      const file = path.join(dir, readdirSync(dir).find((name) => name.endsWith('.db')) ?? 'store.db');
      for (let round = 0; round < (quick ? 3 : 9); round++) {
        const ms = await timed(async () => {
          const { store } = await Store.open(dir);
          store.liveJobs();
          store.recentJobs('past', 200);
          await store.close();
        });
        samples.add(LABEL, 'ms', ms);
        if (has('python3')) samples.add(PEER, 'ms', Number(bash(`python3 -c '${READ}' ${file}`)));
      }
      return { series: samples.series() };
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

const READ = `import sqlite3, sys, time
start = time.perf_counter()
rows = sqlite3.connect(sys.argv[1]).execute("select * from job").fetchall()
print((time.perf_counter() - start) * 1000)`;
