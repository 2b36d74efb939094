import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { PassThrough } from 'node:stream';
import { Client } from 'ssh2';
import { watchLife } from '../../src/transport/lifeSigns';
import { haveSshd } from '../support/sshd';
import { Rig } from './rig';

const HOUR = 3_600_000;

describe('signs of life of a connection', function () {
  if (!haveSshd) return;
  this.timeout(20_000);
  const rig = new Rig();
  const client = new Client();
  let socket: net.Socket;
  let asked = 0;
  const counted: Pick<Client, 'unforwardIn'> = {
    unforwardIn: (host, port, answer) => {
      asked += 1;
      return client.unforwardIn(host, port, answer);
    },
  };
  const mute: Pick<Client, 'unforwardIn'> = { unforwardIn: () => client };

  before(async () => {
    const node = await rig.nodes.add('node');
    socket = net.connect(node.port, node.address);
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject);
      client.connect({ sock: socket, username: 'root', privateKey: readFileSync(rig.nodes.userKey) });
    });
  });
  beforeEach(() => (asked = 0));
  after(() => {
    client.end();
    return rig.close();
  });

  it('come from a real sshd when this machine has slept, or it was silent', async () => {
    let slept = 0;
    const dead: string[] = [];
    const stops = [
      watchLife(counted, socket, (words) => dead.push(words), {
        ...{ now: () => Date.now() + slept, tickMs: 20, silentMs: HOUR, answerMs: 600 },
      }),
      watchLife(counted, socket, (words) => dead.push(words), {
        ...{ now: Date.now, tickMs: 20, silentMs: 500, answerMs: 600 },
      }),
    ];
    slept += 60_000;
    await new Promise((resolve) => setTimeout(resolve, 1400));
    for (const stop of stops) stop();
    assert.deepEqual(dead, []);
    // Once after the sleep, and once for each half second of silence, of which an answer is the end.
    assert.ok(asked >= 2 && asked <= 4, `asked ${asked} times`);
  });

  it('are not asked for while something comes', async () => {
    const stream = new PassThrough();
    const stop = watchLife(counted, stream, () => undefined, {
      ...{ now: Date.now, tickMs: 20, silentMs: 400, answerMs: 600 },
    });
    const timer = setInterval(() => stream.write('x'), 50);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    clearInterval(timer);
    stop();
    assert.equal(asked, 0);
  });

  it('that do not come in time end it, in words that say why', async () => {
    let slept = 0;
    const words = (clock: { silentMs: number }): Promise<string> =>
      new Promise((resolve) => {
        const stop = watchLife(
          mute,
          new PassThrough(),
          (why) => {
            stop();
            resolve(why);
          },
          { now: () => Date.now() + slept, tickMs: 20, answerMs: 300, ...clock },
        );
      });
    assert.equal(await words({ silentMs: 700 }), 'broke: nothing was heard of it for 1 s');
    const woken = words({ silentMs: HOUR });
    slept += 60_000;
    assert.equal(await woken, 'did not outlive this machine’s sleep');
  });
});
