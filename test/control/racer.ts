import { openSync, writeSync } from 'node:fs';
import { openQueue, type Queue } from '../../src/control';

/**
 * A process that opens and closes the queue again and again: `node racer.js HOME LOG TIMES`. While it has the engine, it
 * has an `enter` without a `leave` in the log, each written by one appending write.
 */
async function main(home: string, logFile: string, times: number): Promise<void> {
  const log = openSync(logFile, 'a');
  for (let time = 0; time < times; time++) {
    const queue: Queue = await openQueue({ home, version: '1' });
    const entered: string[] = [];
    const look = (): void => {
      if (entered.length > 0 || queue.role !== 'host') return;
      entered.push('engine');
      writeSync(log, `enter ${process.pid}\n`);
    };
    queue.onDidChange(look);
    look();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    look();
    // What it becomes while it closes is nobody's concern: it gives it back at once.
    if (entered.length > 0) writeSync(log, `leave ${process.pid}\n`);
    await queue.close();
  }
}

const [, , home = '', logFile = '', times = ''] = process.argv;
main(home, logFile, Number(times)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
