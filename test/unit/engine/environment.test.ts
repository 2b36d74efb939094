import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { quote, rankEnvironment, taskId } from '../../../src/engine/environment';
import type { NodeInventory } from '../../../src/cluster';
import type { JobRecord, Placement } from '../../../src/queue';

const job: JobRecord = {
  uuid: 'u',
  cluster: 'mycluster',
  id: 1,
  name: 'job',
  user: 'me',
  status: 'PENDING',
  priority: 0,
  order: 1,
  demand: { numNodes: 2, alternatives: [{ cpus: 0.5, memoryMiB: 0, gpu: { name: 'V100', count: 0.5 } }] },
  spec: { envs: { A: "it's", SKYPILOT_NODE_RANK: 'mine' }, resources: '2x[V100:0.5]' },
  submittedAt: Date.UTC(2026, 6, 6, 21, 18, 31, 563),
};
const placement: Placement = {
  ranks: [
    { node: 'a', devices: [2] },
    { node: 'b', devices: [0] },
  ],
  alternative: 0,
};
const inventory = (ip: string): NodeInventory => ({ cpus: 1, memoryMiB: 1, ip, devices: [] });
const cluster = {
  name: 'mycluster',
  nodes: [
    { name: 'a', inventory: inventory('10.0.0.1') },
    { name: 'b', inventory: inventory('10.0.0.2') },
  ],
};

describe('the environment of a rank', () => {
  it('names a task as SkyPilot does', () => {
    assert.equal(taskId(job), 'sky-2026-07-06-21-18-31-563000_mycluster_1');
  });

  it('has SkyPilot’s variables, which win over the task’s own', () => {
    const text = rankEnvironment(job, placement, 1, cluster, { TOKEN: 's' });
    const shown = execFileSync(
      'bash',
      [
        '-c',
        `cd /; HOME=/; CQ_BIN=/bin; ${text}\nprintf '%s|' "$A" "$TOKEN" "$SKYPILOT_NODE_RANK" "$SKYPILOT_NODE_IPS" "$SKYPILOT_NUM_NODES" "$SKYPILOT_NUM_GPUS_PER_NODE" "$CUDA_VISIBLE_DEVICES" "$SKYPILOT_INTERNAL_JOB_ID"`,
      ],
      { encoding: 'utf8' },
    );
    assert.equal(shown, "it's|s|1|10.0.0.1\n10.0.0.2|2|1|0|1|");
  });

  it('has `conda activate` of a conda that ~/.bashrc does not know', () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-conda-'));
    try {
      mkdirSync(path.join(dir, 'bin'));
      mkdirSync(path.join(dir, 'etc', 'profile.d'), { recursive: true });
      writeFileSync(path.join(dir, 'bin', 'conda'), `#!/bin/sh\necho ${dir}\n`, { mode: 0o755 });
      writeFileSync(path.join(dir, 'etc', 'profile.d', 'conda.sh'), 'conda() { echo "function $*"; }\n');
      const text = rankEnvironment(job, placement, 0, cluster, {});
      const shown = (before: string): string =>
        execFileSync(
          'bash',
          ['-c', `cd /; HOME=/; CQ_BIN=/bin; PATH=${dir}/bin:$PATH; ${before}${text}\nconda activate x`],
          { encoding: 'utf8' },
        );
      assert.equal(shown(''), 'function activate x\n');
      assert.equal(shown('conda() { echo mine; }\n'), 'mine\n');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('tells a setup how many GPUs its task asks for, though it takes none', () => {
    const setup: JobRecord = {
      ...job,
      demand: { numNodes: 2, alternatives: [{ cpus: 0, memoryMiB: 0 }] },
      spec: { ...job.spec, phase: 'setup', taskGpus: 4 },
    };
    assert.match(
      rankEnvironment(setup, placement, 0, cluster, {}),
      /^export SKYPILOT_SETUP_NUM_GPUS_PER_NODE='4'$/m,
    );
  });

  it('quotes any value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (value) => {
        fc.pre(!value.includes('\0') && Buffer.from(value).toString() === value);
        assert.equal(execFileSync('bash', ['-c', `printf %s ${quote(value)}`], { encoding: 'utf8' }), value);
      }),
      { numRuns: 60 },
    );
  }).timeout(20_000);
});
