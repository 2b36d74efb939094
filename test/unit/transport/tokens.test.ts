import assert from 'node:assert/strict';
import os from 'node:os';
import path from 'node:path';
import { expandPath, systemFile } from '../../../src/transport/tokens';

describe('paths of the ssh config', () => {
  it('are resolved on Windows as its OpenSSH and that of Git write them', () => {
    const before = process.env.ProgramData;
    process.env.ProgramData = 'D:\\Data';
    try {
      assert.equal(expandPath('__PROGRAMDATA__\\ssh/ssh_known_hosts', true), 'D:\\Data\\ssh/ssh_known_hosts');
      assert.equal(expandPath(systemFile('ssh_config', true), true), 'D:\\Data/ssh/ssh_config');
    } finally {
      if (before === undefined) delete process.env.ProgramData;
      else process.env.ProgramData = before;
    }
    assert.equal(expandPath('/c/Users/me/.ssh/id_rsa', true), 'c:/Users/me/.ssh/id_rsa');
    assert.equal(expandPath('"C:\\My Keys\\id"', true), 'C:\\My Keys\\id');
  });

  it('are left alone elsewhere', () => {
    assert.equal(expandPath('/c/Users/me', false), '/c/Users/me');
    assert.equal(expandPath(systemFile('ssh_config', false), false), '/etc/ssh/ssh_config');
    assert.equal(expandPath('~/.ssh/id', false), path.join(os.homedir(), '.ssh', 'id'));
  });
});
