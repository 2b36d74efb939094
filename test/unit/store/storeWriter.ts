import { Store } from '../../../src/store';
import { aJob } from './builders';

/**
 * A program for the kill test. Submits in bursts, ends half of the jobs, compacts and archives all the time; prints the id
 * of each job when its record was acknowledged (`a<id>`), and when its change was (`u<id>`).
 */
async function main(folder: string, wasmPath: string): Promise<void> {
  const { store } = await Store.open(folder, {
    wasmPath,
    compaction: { minJournalBytes: 20_000, journalPerSnapshot: 0 },
  });
  process.stdout.write('open\n');
  const archiving = async (): Promise<void> => {
    for (;;) {
      await store.archive({ keepCount: 30, atMost: 20 });
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  };
  void archiving();
  for (;;) {
    const burst = 1 + Math.floor(Math.random() * 8);
    await Promise.all(
      Array.from({ length: burst }, async () => {
        const id = store.nextJobId('lab');
        await store.addJob(aJob(id));
        process.stdout.write(`a${id}\n`);
        await store.updateJob(`uuid-${id}`, { message: `m${id}`, ...ending(id) });
        process.stdout.write(`u${id}\n`);
      }),
    );
    if (Math.random() < 0.05) await store.compact();
  }
}

function ending(id: number): object {
  return id % 2 === 0 ? {} : { status: 'FAILED', endedAt: id };
}

const [, , folder = '', wasmPath = ''] = process.argv;
void main(folder, wasmPath);
