import assert from 'node:assert/strict';
import { completePools, poolFieldHelp } from '../../../src/cluster';

const world = { hosts: ['gpu1', 'gpu2'], gpus: ['V100'] };

/** Labels at the bar in the text. */
function at(text: string): string[] {
  const offset = text.indexOf('|');
  return completePools(text.replace('|', ''), offset, world).map(({ label }) => label);
}

describe('writing a node pools file', () => {
  it('offers a pool at the margin, and its fields below, but none twice', () => {
    assert.deepEqual(at('|'), ['node pool']);
    assert.deepEqual(at('a:\n  hosts: [x]\n|'), ['node pool']);
    const fields = at('a:\n  user: me\n  |\n  port: 22\n');
    assert.ok(fields.includes('hosts') && fields.includes('identity_file'));
    assert.ok(!fields.includes('user') && !fields.includes('port') && !fields.includes('ip'));
  });

  it('offers hosts of the ssh config in the list, and fields inside a host', () => {
    assert.deepEqual(at('a:\n  hosts:\n    - |\n'), ['gpu1', 'gpu2', 'ip']);
    assert.deepEqual(at('a:\n  hosts:\n  - gp|\n'), ['gpu1', 'gpu2', 'ip']);
    assert.deepEqual(at('a:\n  hosts:\n    - ip: |\n'), ['gpu1', 'gpu2']);
    const inside = at(
      'a:\n  hosts:\n    - x\n    - ip: y\n      user: z\n      |\n    - ip: w\n      gpus: A\n',
    );
    assert.ok(inside.includes('gpus') && inside.includes('devices'));
    assert.ok(!inside.includes('ip') && !inside.includes('user') && !inside.includes('hosts'));
  });

  it('offers values, and nothing where it does not know', () => {
    assert.deepEqual(at('a:\n  virtual: |'), ['true', 'false']);
    assert.deepEqual(at('a:\n  gpus: V|'), ['V100']);
    assert.deepEqual(at('a:\n  user: |'), []);
    assert.deepEqual(at('a:\n  devices:\n    - |'), []);
    assert.deepEqual(at('a:\n  # us|'), []);
  });

  it('replaces the whole word, and leaves a colon that is there', () => {
    const [first] = completePools('a:\n  us: x\n  identity', 7, world).filter(
      ({ label }) => label === 'user',
    );
    assert.deepEqual([first?.start, first?.end, first?.snippet], [5, 7, 'user']);
  });

  it('explains fields, and says which are ours', () => {
    const text = 'a:\n  hosts:\n    - ip: x\n      devices: [0]\nuser:\n  hosts: [y]\n';
    assert.match(poolFieldHelp(text, text.indexOf('devices') + 2)?.text ?? '', /best first[^]*own/);
    assert.equal(poolFieldHelp(text, text.indexOf('ip'))?.title, 'ip');
    assert.equal(poolFieldHelp(text, text.indexOf('user')), undefined);
    assert.equal(poolFieldHelp(text, text.indexOf('[0]')), undefined);
  });
});
