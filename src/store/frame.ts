import { crc32 } from 'node:zlib';

/**
 * One line of the journal: payload length and CRC-32 in eight hex digits each, the payload (JSON, so without a raw
 * line feed), a line feed. Text, because a person in trouble can then read the journal with `less`, and because a
 * reader finds the next record after a damaged one at the next line feed.
 */
const PREFIX = 18;
const NEWLINE = 0x0a;

/** Bytes of the line that carries the payload. */
export function encodeFrame(payload: string): Buffer {
  const bytes = Buffer.from(payload, 'utf8');
  return Buffer.concat([
    Buffer.from(`${hex(bytes.length)} ${hex(crc32(bytes))} `),
    bytes,
    Buffer.of(NEWLINE),
  ]);
}

/** Eight hex digits of an unsigned 32-bit number. */
export function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** A line as found: `payload` when it is whole and its checksum is right, `torn` when it has no line feed. */
export interface Frame {
  readonly offset: number;
  /** Offset of the next line. */
  readonly end: number;
  readonly payload?: string;
  readonly torn: boolean;
}

/** The lines of a journal from the offset on, whole, damaged and torn ones alike. */
export function* frames(bytes: Buffer, from = 0): Generator<Frame> {
  for (let offset = from; offset < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, offset);
    const end = newline < 0 ? bytes.length : newline + 1;
    const payload = newline < 0 ? undefined : payloadOf(bytes.subarray(offset, newline));
    yield { offset, end, torn: newline < 0, ...(payload === undefined ? {} : { payload }) };
    offset = end;
  }
}

function payloadOf(line: Buffer): string | undefined {
  const payload = line.subarray(PREFIX);
  const prefix = `${hex(payload.length)} ${hex(crc32(payload))} `;
  return line.toString('latin1', 0, PREFIX) === prefix ? payload.toString('utf8') : undefined;
}
