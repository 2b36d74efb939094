import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { knowsHost } from '../../../src/transport/sshConfigFile';

describe('whether the ssh config names a host', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-knows-'));
  const config = path.join(dir, 'config');
  const more = path.join(dir, 'more');
  after(() => rmSync(dir, { recursive: true }));

  before(() => {
    writeFileSync(
      config,
      `Host gpu1 gpu2
  User a
Host *.lab !printer.lab
  User b
Match originalhost matched exec "true"
  User c
Host *
  User d
Include ${more}
`,
    );
    writeFileSync(more, 'Host=included\n  User e\n');
  });

  for (const [host, known] of [
    ['gpu1', true],
    ['GPU2', true],
    ['gpu3', false],
    ['box.lab', true],
    ['printer.lab', false],
    ['boxxlab', false],
    ['matched', true],
    ['included', true],
    ['10.0.0.1', false],
  ] as const)
    it(`${host}: ${known ? 'yes' : 'no'}`, async () => assert.equal(await knowsHost(host, config), known));

  it('does not, where there is no config', async () => {
    assert.equal(await knowsHost('gpu1', path.join(dir, 'none')), false);
  });
});
