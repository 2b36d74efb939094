import assert from 'node:assert/strict';
import { socketPath } from '../../../src/control/endpoint';

describe('the socket of the engine', () => {
  const at = (home: string, temporary: string): string =>
    socketPath(home, temporary, 'cluster-queue-501', 'hash.sock');

  it('is in the state folder, also on macOS', () => {
    const home = '/Users/somebody/Library/Application Support/cluster-queue';
    assert.equal(at(home, '/var/folders/x/T'), `${home}/run/engine.sock`);
  });

  it('is where its path is short enough for the system: the folder for temporary files, else /tmp', () => {
    const deep = `/home/${'deep/'.repeat(20)}state`;
    assert.equal(at(deep, '/var/folders/x/T'), '/var/folders/x/T/cluster-queue-501/hash.sock');
    assert.equal(at(deep, `/scratch/${'job/'.repeat(25)}`), '/tmp/cluster-queue-501/hash.sock');
    // Counted in bytes.
    assert.equal(at(`/home/${'ü'.repeat(45)}`, '/t'), '/t/cluster-queue-501/hash.sock');
  });
});
