import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobRecord } from '../../../src/queue/jobRecord';

/** A job record with what the test cares about. */
export function aJob(id: number, given: Partial<JobRecord> = {}): JobRecord {
  return {
    uuid: `uuid-${id}`,
    cluster: 'lab',
    id,
    name: `job ${id}`,
    user: 'ada',
    status: 'PENDING',
    priority: 0,
    order: id,
    demand: { numNodes: 1, alternatives: [{ gpu: { name: 'V100', count: 2 }, cpus: 0.5, memoryMiB: 0 }] },
    spec: { run: "echo 'gr\u00fc\u00df dich\n'", envs: { A: '1' }, resources: '1x[V100:2]' },
    submittedAt: 1_000 + id,
    ...given,
  };
}

/** Runs the body with a new folder that is gone afterwards. */
export async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cq-store-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
