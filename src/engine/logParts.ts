import { readFileSync, statSync } from 'node:fs';
import { copyFile, open, writeFile } from 'node:fs/promises';
// The one file, not the room: windows read logs before SQLite is loaded.
import { moveOver } from '../store/moveOver';

/**
 * A mirrored log is one file, `FILE`, and when it has grown very large or its node has dropped some of it, parts after that:
 * `FILE.POSITION`, named by where they begin in the whole. Positions never change. `FILE.parts` lists those that are kept.
 */
export interface LogPart {
  /** Where it begins. */
  readonly at: number;
  /** How far each rank's own log had come there. */
  readonly offsets: readonly number[];
  /** What the part begins with that is nobody's output: that something is missing. */
  readonly text: string;
}

/** Bytes of a log; `at` is beyond where they were asked for when what was there has been dropped. */
export interface LogPiece {
  readonly at: number;
  readonly bytes: Buffer;
}

const FIRST: LogPart = { at: 0, offsets: [], text: '' };

/** All parts of a log that are kept, in order; the first is always among them. @throws when the list cannot be read */
export function logParts(file: string): readonly LogPart[] {
  const list = `${file}.parts`;
  // Few logs have one, and an error is dear.
  if (!statSync(list, { throwIfNoEntry: false })) return [FIRST];
  try {
    const parts = JSON.parse(readFileSync(list, 'utf8')) as LogPart[];
    return parts[0]?.at === 0 ? parts : [FIRST, ...parts];
  } catch (error) {
    if (isMissing(error)) return [FIRST];
    throw error;
  }
}

/** The file of the part that begins at `at`. */
export function partFile(file: string, at: number): string {
  return at === 0 ? file : `${file}.${at}`;
}

/** The file of a log that has its end. */
export function newestFile(file: string): string {
  return partFile(file, newest(logParts(file)).at);
}

/** The last of a log's parts, which grows. */
export function newest(parts: readonly LogPart[]): LogPart {
  return parts[parts.length - 1] ?? FIRST;
}

/** Makes the list of parts say this, whole or not at all. */
export async function writeParts(file: string, parts: readonly LogPart[]): Promise<void> {
  await writeFile(`${file}.parts.new`, JSON.stringify(parts), { mode: 0o600 });
  await moveOver(`${file}.parts.new`, `${file}.parts`);
}

/** Where a log ends: its bytes, with those that were dropped since. Undefined when there is none. */
export function logSize(file: string): number | undefined {
  const { at } = newest(logParts(file));
  const size = statSync(partFile(file, at), { throwIfNoEntry: false })?.size;
  return size === undefined ? (at === 0 ? undefined : at) : at + size;
}

/** Reads up to `length` bytes from a position; none at the end. @throws when there is no such log */
export async function readLog(file: string, at: number, length: number): Promise<LogPiece> {
  const parts = logParts(file);
  const after = parts.findIndex((part) => part.at > at);
  const index = after < 0 ? parts.length - 1 : after - 1;
  const part = parts[index] ?? FIRST;
  const next = parts[index + 1];
  let bytes: Buffer;
  try {
    bytes = await readFrom(partFile(file, part.at), at - part.at, length);
  } catch (error) {
    const listed = logParts(file).some((kept) => kept.at === part.at);
    if (!isMissing(error) || listed) throw error;
    // Dropped since it was listed.
    return readLog(file, at, length);
  }
  return bytes.length > 0 || !next ? { at, bytes } : readLog(file, next.at, length);
}

/** Reads up to `length` bytes that end at a position; none at the beginning, and where what was before has been dropped. */
export async function readBack(file: string, end: number, length: number): Promise<LogPiece> {
  const part = logParts(file).findLast(({ at }) => at < end) ?? FIRST;
  const from = Math.max(part.at, end - length);
  const bytes = await readFrom(partFile(file, part.at), from - part.at, end - from);
  return from + bytes.length === end ? { at: from, bytes } : { at: end, bytes: Buffer.alloc(0) };
}

/** All of a log from a position on, in pieces. */
export async function* piecesOf(
  file: string,
  from = 0,
): AsyncGenerator<LogPiece & { readonly dropped: number }> {
  for (let at = from; ;) {
    const piece = await readLog(file, at, PIECE_BYTES);
    if (piece.bytes.length === 0) return;
    yield { ...piece, dropped: piece.at - at };
    at = piece.at + piece.bytes.length;
  }
}

/** The line that stands for bytes of a log which were dropped. */
export function droppedLine(bytes: number): string {
  const size =
    bytes < 1e6
      ? `${bytes} bytes`
      : bytes < 1e9
        ? `${(bytes / 1e6).toFixed(1)} MB`
        : `${(bytes / 1e9).toFixed(1)} GB`;
  return `[cluster-queue] ${size} of this log were dropped here: it is longer than the setting clusterQueue.log.maxGB lets it be\n`;
}

/** All files of a log, the one that it is known by last: a move that breaks off is seen by that. */
export function logFiles(file: string): string[] {
  const later = logParts(file).filter(({ at }) => at > 0);
  return later.length === 0 ? [file] : [...later.map(({ at }) => partFile(file, at)), `${file}.parts`, file];
}

/** Makes one file of what is kept of a log, with a line where something was dropped. @throws when there is no such log */
export async function copyLog(file: string, to: string): Promise<void> {
  if (logParts(file).length === 1) return copyFile(file, to);
  const handle = await open(to, 'w', 0o600);
  try {
    for await (const { bytes, dropped } of piecesOf(file)) {
      if (dropped > 0) await handle.appendFile(`\n${droppedLine(dropped)}`);
      await handle.appendFile(bytes);
    }
  } finally {
    await handle.close();
  }
}

const PIECE_BYTES = 1 << 20;

async function readFrom(file: string, at: number, length: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
