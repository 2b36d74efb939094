import { crc32 } from 'node:zlib';
import { StoreVersionError } from './errors';
import { hex } from './frame';

/**
 * SQLite does not check what it reads, so the snapshot carries a checksum behind the database. SQLite's own tools
 * ignore bytes past the last page: `sqlite3 store.db` still opens the file.
 */
const VERSION = 1;
const SEAL = /^\ncluster-queue snapshot (\d{4}) ([0-9a-f]{8})\n$/;
const SEAL_LENGTH = seal(0, 0).length;

/** The bytes to write behind an exported database. */
export function snapshotSeal(database: Uint8Array): Buffer {
  return seal(VERSION, checksum(database, VERSION));
}

/** The database in a snapshot file; undefined when the file is damaged. Throws StoreVersionError. */
export function openSnapshot(file: string, bytes: Buffer): Buffer | undefined {
  const split = Math.max(0, bytes.length - SEAL_LENGTH);
  const [, version, sum] = SEAL.exec(bytes.toString('latin1', split)) ?? [];
  if (version === undefined || sum === undefined) return undefined;
  const database = bytes.subarray(0, split);
  if (hex(checksum(database, Number(version))) !== sum) return undefined;
  if (Number(version) > VERSION) throw new StoreVersionError(file, Number(version), VERSION);
  return database;
}

// The version is part of what is summed, so that a damaged digit is not taken for a newer version.
function checksum(database: Uint8Array, version: number): number {
  return crc32(String(version), crc32(database));
}

function seal(version: number, sum: number): Buffer {
  return Buffer.from(`\ncluster-queue snapshot ${String(version).padStart(4, '0')} ${hex(sum)}\n`);
}
