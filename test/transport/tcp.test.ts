import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { tcpSocket } from '../../src/transport/tcp';
import { throwDice, type Dice } from '../faults/scale';
import { haveSshd, type TestNode } from '../support/sshd';
import { Rig } from './rig';

describe('a TCP connection whose memory is used again', () => {
  const servers: net.Server[] = [];
  /** The port of a server that does this with each connection. */
  const serve = async (take: (socket: net.Socket) => void): Promise<number> => {
    const server = net.createServer({ noDelay: true }, take).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return (server.address() as net.AddressInfo).port;
  };
  after(() => {
    for (const server of servers) server.close();
  });

  it('keeps what came before somebody listened, and says when it ends', async () => {
    const port = await serve((socket) => socket.end('SSH-2.0-early\r\n'));
    const socket = tcpSocket('127.0.0.1', port);
    await once(socket, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 50));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.resume();
    await once(socket, 'close');
    assert.equal(text, 'SSH-2.0-early\r\n');
  });

  it('sends what is written in one turn at once, in order, and says when there is room again', async () => {
    let got = Buffer.alloc(0);
    const port = await serve((socket) => socket.on('data', (bytes) => (got = Buffer.concat([got, bytes]))));
    const socket = tcpSocket('127.0.0.1', port);
    await once(socket, 'connect');
    const calls: number[] = [];
    const writev = socket._writev?.bind(socket);
    socket._writev = (chunks, callback) => {
      calls.push(chunks.length);
      writev?.(chunks, callback);
    };
    for (const piece of ['length ', 'payload ', 'mac ']) socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(calls, [3]);
    const much = Buffer.alloc(5_000_000, 'x');
    assert.equal(socket.write(much), false);
    await once(socket, 'drain');
    socket.end('end');
    await once(socket, 'finish');
    for (let tries = 0; got.length < 19 + much.length + 3; tries++) {
      assert.ok(tries < 500, `${got.length} bytes came`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(got.equals(Buffer.concat([Buffer.from('length payload mac '), much, Buffer.from('end')])));
    socket.destroy();
  });

  it('leaves a large chunk alone until the next large one was taken, and a small one for ever', async () => {
    const pieces = Array.from({ length: 200 }, (_, index) =>
      Buffer.alloc(index % 9 === 0 ? 9000 : 3000, index),
    );
    const port = await serve((socket) => {
      // Each when the one before was read.
      socket.on('data', (asked) => {
        for (const index of asked) socket.write(pieces[index] ?? '');
      });
    });
    const socket = tcpSocket('127.0.0.1', port);
    const small: { chunk: Buffer; of: number }[] = [];
    let large: typeof small = [];
    for (const [index, piece] of pieces.entries()) {
      let left = piece.length;
      const whole = new Promise<void>((resolve, reject) => {
        socket.on('data', function listen(chunk: Buffer) {
          const kept = { chunk, of: index };
          const wrong = [kept, ...large, ...small].find((one) => one.chunk.some((byte) => byte !== one.of));
          if (wrong) reject(new Error(`piece ${wrong.of} at piece ${index}`));
          if (chunk.length < 4096) small.push(kept);
          else large = [kept];
          if ((left -= chunk.length) > 0) return;
          socket.removeListener('data', listen);
          resolve();
        });
      });
      socket.resume();
      socket.write(Buffer.of(index));
      await whole;
    }
    socket.destroy();
  });
});

describe('ciphers that read memory which is used again', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const rig = new Rig();
  after(() => rig.close());

  // Each of the kinds that ssh2 has a text of its own for.
  for (const [name, ciphers] of [
    ['gcm', 'aes128-gcm@openssh.com'],
    ['chacha', 'chacha20-poly1305@openssh.com'],
    ['ctr', 'aes256-ctr'],
  ] as const) {
    it(`bring every byte, however they come apart: ${ciphers}`, async () => {
      const node = await rig.nodes.add(name, { config: `Ciphers ${ciphers}` });
      const dice = throwDice(`cut ${name}`);
      const port = await rig.server((client) => cut(node, client, dice));
      rig.nodes.configure(
        `Host cut-${name}\n  HostName 127.0.0.1\n  Port ${port}\n  HostKeyAlias [${node.address}]:${node.port}`,
      );
      const transport = await rig.connect(`cut-${name}`);
      const bytes = randomBytes(5_000_000);
      writeFileSync(path.join(node.home, 'bytes'), bytes);
      // Packets that are whole in one piece while their MAC is not are found among small ones only.
      const small = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do';
      const channel = await transport.exec(
        `sh -c 'cat ${path.join(node.home, 'bytes')}; ${small} ${small} echo; sleep 0.001; done; done'`,
      );
      // All are kept to the end, as a log's pieces are that wait for a slow disk.
      const chunks: Buffer[] = [];
      channel.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      channel.stderr.resume();
      assert.equal((await channel.exit).code, 0);
      assert.ok(Buffer.concat(chunks).equals(Buffer.concat([bytes, Buffer.alloc(400, '\n')])));
      transport.close();
    });
  }

  /** A proxy whose pieces come to the client one by one, from a byte to more than one read takes, after the handshake. */
  function cut(node: TestNode, client: net.Socket, dice: Dice): void {
    client.setNoDelay(true);
    const onward = net.connect(node.port, node.address);
    client.pipe(onward);
    client.on('error', () => onward.destroy());
    onward.on('error', () => client.destroy());
    void (async () => {
      let sent = 0;
      for await (const bytes of onward as AsyncIterable<Buffer>) {
        // Of an identification in three pieces and more ssh2 loses the second, and refuses the signature.
        if (sent < 3000) {
          sent += bytes.length;
          client.write(bytes);
          continue;
        }
        for (let at = 0; at < bytes.length;) {
          const most = bytes.length < 100 ? 50 : dice.pick([4, 40, 5000, 300_000]);
          const piece = bytes.subarray(at, at + dice.whole(1, most));
          at += piece.length;
          client.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      client.end();
    })().catch(() => client.destroy());
  }
});
