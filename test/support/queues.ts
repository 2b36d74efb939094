import { readFile } from 'node:fs/promises';
import type { Queue, QueueLog } from '../../src/control';
import type { JobRecord } from '../../src/queue';

/** Whoever has logs: a queue, or an engine itself. */
interface Logs {
  log(cluster: string, id: number): { readonly mirror: QueueLog; readonly release: () => void };
}

/** The whole log of a job that has ended or will. */
export async function wholeLog(logs: Logs, cluster: string, id: number): Promise<string> {
  const { mirror, release } = logs.log(cluster, id);
  if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
  release();
  return readFile(mirror.file, 'utf8');
}

/** Waits until a job has ended. */
export function endOf(queue: Queue, cluster: string, id: number): Promise<JobRecord> {
  return new Promise((resolve) => {
    const check = (): void => {
      const { record } = queue.job(cluster, id);
      if (record.endedAt === undefined) return;
      stop();
      resolve(record);
    };
    const stop = queue.onDidChange(check);
    check();
  });
}
