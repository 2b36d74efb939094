import net from 'node:net';
import type { Writable } from 'node:stream';
import { bindingAvailable } from './ssh2Library';

const FIRST_BYTES = 64 * 1024;
// As soon as a read has been full: of what comes from a server that is ahead, one packet of eight then lies in two reads, and is
// put together in memory of its own.
const BULK_BYTES = 256 * 1024;
// What a read brings that is less stays where it is.
const KEPT_BYTES = 4096;

/**
 * Begins a TCP connection for ssh2 to read, from an address of this machine where one is given. It is paused: whoever listens
 * to `data` resumes it.
 *
 * Memory of its own for each read keeps the garbage collector busier than the cipher where much comes, so what a large read
 * brings lies in two buffers by turns: it is good until the listeners of the next large one return. That is enough for ssh2,
 * whose ciphers write what they decipher elsewhere at once, but for a packet of chacha20 which waits for the rest of its MAC:
 * that comes with what comes next. It is not for ssh2's compiled ciphers, which decipher in place: with them all are copies.
 * What a small read brings is never written over (ssh2 keeps the server's KEXINIT until the keys are exchanged).
 */
export function tcpSocket(host: string, port: number, from?: string): net.Socket {
  let [current, other] = [Buffer.allocUnsafeSlow(FIRST_BYTES), Buffer.allocUnsafeSlow(FIRST_BYTES)];
  const options: net.SocketConstructorOpts & Pick<net.ConnectOpts, 'onread'> = {
    onread: {
      buffer: () => current,
      callback: (count) => {
        const chunk = current.subarray(0, count);
        socket.emit('data', bindingAvailable ? Buffer.from(chunk) : chunk);
        if (count < KEPT_BYTES) current = current.subarray(count);
        else [current, other] = [other, current];
        const least = count === other.length ? BULK_BYTES : FIRST_BYTES / 2;
        if (current.length < least) current = Buffer.allocUnsafeSlow(Math.max(least, FIRST_BYTES));
        return true;
      },
    },
  };
  // Not by `net.connect`: VS Code has one of its own for extensions, which heeds no such options.
  const socket = new net.Socket(options);
  socket.connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) }).pause();
  gatherWrites(socket);
  return socket;
}

/**
 * Has what is written to a stream in one turn go out at once: ssh2 writes length, payload and MAC of each packet one by one, and
 * the server would be woken for each. Not before `connect`, which gives a socket its own `write` back.
 */
export function gatherWrites(stream: Writable): void {
  const write = stream.write.bind(stream) as (...words: unknown[]) => boolean;
  stream.write = (...words: unknown[]): boolean => {
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(() => stream.uncork());
    }
    return write(...words);
  };
}
