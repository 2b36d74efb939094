import net from 'node:net';
import { bindingAvailable } from 'ssh2/lib/protocol/crypto.js';

// Of what comes from a server that is ahead, one packet of eight lies in two reads, and is put together in memory of its own.
const READ_BYTES = 256 * 1024;

// What is less comes as a copy, from Node's pool.
const COPIED_BYTES = Buffer.poolSize >>> 1;

/**
 * Begins a TCP connection for ssh2 to read. It is paused: whoever listens to `data` resumes it.
 *
 * Memory of its own for each read keeps the garbage collector busier than the cipher where much comes, so what a large read
 * brings lies in two buffers by turns: it is good until the listeners of the next large one return. That is enough for ssh2,
 * whose ciphers write what they decipher elsewhere at once, but for a packet of chacha20 which waits for the rest of its MAC:
 * that comes with what comes next. It is not for ssh2's compiled ciphers, which decipher in place: with them all are copies.
 */
export function tcpSocket(host: string, port: number): net.Socket {
  let [current, other] = [Buffer.allocUnsafeSlow(READ_BYTES), Buffer.allocUnsafeSlow(READ_BYTES)];
  const options: net.SocketConstructorOpts & Pick<net.ConnectOpts, 'onread'> = {
    onread: {
      buffer: () => current,
      callback: (count) => {
        const chunk = current.subarray(0, count);
        if (bindingAvailable || count < COPIED_BYTES) {
          socket.emit('data', Buffer.from(chunk));
        } else {
          [current, other] = [other, current];
          socket.emit('data', chunk);
        }
        return true;
      },
    },
  };
  // Not by `net.connect`: VS Code has one of its own for extensions, which heeds no such options.
  const socket = new net.Socket(options);
  return socket.connect({ host, port }).pause();
}
