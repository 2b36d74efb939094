import assert from 'node:assert/strict';
import type { Manifest } from '../../../src/engine/files/manifest';
import { planSend } from '../../../src/engine/files/plan';

function files(
  ...rows: readonly (readonly [path: string, hash: string, mode?: number, size?: number])[]
): Manifest {
  return rows.map(([path, hash, mode = 0o644, size = 10]) => ({
    kind: 'file',
    path,
    hash,
    mode,
    size,
    mtime: 0,
  }));
}

describe('the plan of a sync', () => {
  it('links what is the same, sends what is not', () => {
    const plan = planSend(files(['a', '1'], ['b', '2'], ['c', '9', 0o644, 7]), [
      { name: 'old', manifest: files(['a', '1'], ['b', '3']) },
    ]);
    assert.deepEqual([...plan.links], [['a', 'old/a']]);
    assert.deepEqual([plan.files, plan.bytes], [2, 17]);
  });

  it('never links two paths to one file', () => {
    const plan = planSend(files(['a', '1'], ['b', '1'], ['c', '1']), [
      { name: 'old', manifest: files(['b', '1'], ['x', '1']) },
    ]);
    assert.equal(new Set(plan.links.values()).size, 2);
    assert.equal(plan.links.get('b'), 'old/b', 'its own place first');
    assert.equal(plan.files, 1);
  });

  it('does not take a file of other permissions', () => {
    const plan = planSend(files(['a', '1', 0o755]), [{ name: 'old', manifest: files(['a', '1', 0o644]) }]);
    assert.equal(plan.links.size, 0);
  });

  it('looks into older snapshots for what the newest has not', () => {
    const plan = planSend(files(['a', '1'], ['b', '2']), [
      { name: 'new', manifest: files(['a', '1']) },
      { name: 'old', manifest: files(['a', '1'], ['b', '2']) },
    ]);
    assert.deepEqual(
      [...plan.links],
      [
        ['a', 'new/a'],
        ['b', 'old/b'],
      ],
    );
  });

  it('passes over what arrived whole, and only that', () => {
    const plan = planSend(
      files(['a', '1'], ['b', '2'], ['c', '3']),
      [],
      new Map([
        ['a', 10],
        ['b', 9],
      ]),
    );
    assert.deepEqual([...plan.there], ['a']);
    assert.equal(plan.files, 2);
  });
});
