import assert from 'node:assert/strict';
import { fileStatusWords } from '../../../src/window/fileStatus';
import type { JobRecord } from '../../../src/queue';

describe('what became of the job of a task file', () => {
  const words = (more: Partial<JobRecord>): string =>
    fileStatusWords({ id: 3, cluster: 'lab', ...more } as JobRecord).replaceAll('\u00a0', ' ');

  it('says of one that has ended how long it ran', () => {
    assert.equal(
      words({ status: 'SUCCEEDED', startedAt: 1000, endedAt: 6000 }),
      '$(pass) job 3 on lab: SUCCEEDED · 5s',
    );
    assert.equal(words({ status: 'CANCELLED', endedAt: 6000 }), '$(circle-slash) job 3 on lab: CANCELLED');
  });

  it('says no time that would not be true any more a minute later', () => {
    assert.equal(
      words({ status: 'RUNNING', submittedAt: 1, startedAt: 1000 }),
      '$(sync~spin) job 3 on lab: RUNNING',
    );
    assert.equal(words({ status: 'PENDING', submittedAt: 1 }), '$(clock) job 3 on lab: PENDING');
  });

  it('has an icon of its own for one that is lost', () => {
    assert.match(words({ status: 'LOST', submittedAt: 1 }), /^\$\(question\) /);
  });
});
