import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** What a packet has beside what it carries (RFC 4253, 6; RFC 4254, 5.2): lengths, kind and channel, and the longest padding. */
const BESIDE_BYTES = 14 + 255;

let nowhere: MessagePort | undefined;

/**
 * Frees the memory of bytes that nobody needs any more. V8 would do so later: it counts them as pressure from outside its
 * heap, and looks through all of the heap for each few dozen MiB that come, which is a third of the work beside a long log.
 * What is small, or has its memory with other bytes, is left alone.
 */
export function letGo(bytes: Buffer): void {
  const { buffer, length } = bytes;
  if (length <= Buffer.poolSize || length + BESIDE_BYTES < buffer.byteLength) return;
  // Moved to where nobody is; ArrayBuffer.transfer does the same, and Node 20 has none.
  nowhere ??= closedPort();
  try {
    if (buffer instanceof ArrayBuffer) nowhere.postMessage(undefined, [buffer]);
  } catch {
    // Not to be moved (Node 20 leaves it, later ones say so): it is freed when it is found to be garbage.
  }
}

function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.close();
  port2.close();
  return port1;
}
