import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Client } from 'ssh2';
import { watchWaking } from '../../src/transport/waking';
import { haveSshd } from '../support/sshd';
import { Rig } from './rig';

describe('a connection over which this machine slept', function () {
  if (!haveSshd) return;
  this.timeout(20_000);
  const rig = new Rig();
  after(() => rig.close());

  it('is kept when a real sshd answers, and dead within seconds when nobody does', async () => {
    const node = await rig.nodes.add('node');
    const client = new Client();
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject);
      client.connect({
        host: node.address,
        port: node.port,
        username: 'root',
        privateKey: readFileSync(rig.nodes.userKey),
      });
    });
    let slept = 0;
    const clock = { now: () => Date.now() + slept, tickMs: 20, answerMs: 600 };
    let dead = 0;
    let asked = 0;
    const stop = watchWaking(
      {
        unforwardIn: (host, port, answer) => {
          asked += 1;
          return client.unforwardIn(host, port, answer);
        },
      },
      () => (dead += 1),
      clock,
    );
    slept += 60_000;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.deepEqual([asked, dead], [1, 0]);
    stop();
    client.end();
    await new Promise<void>((resolve) => {
      const stopMute = watchWaking(
        { unforwardIn: () => client },
        () => {
          stopMute();
          resolve();
        },
        clock,
      );
      slept += 60_000;
    });
  });
});
