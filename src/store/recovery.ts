import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { JOURNAL_VERSION, parseHeader, parseRecord, type JournalHeader, type JournalRecord } from './changes';
import { Database } from './database';
import { writeDurable, type Disk } from './disk';
import {
  StoreConflictError,
  StoreCorruptError,
  StoreReadError,
  StoreVersionError,
  StoreWriteError,
} from './errors';
import { frames, type Frame } from './frame';
import { encodeHeader, Journal } from './journal';
import type { Migration } from './schema';
import { openSnapshot, snapshotSeal } from './snapshot';
import type { SqlEngine } from './sqlEngine';

/** What was wrong with the files at open, and what was done about it. */
export interface RepairReport {
  /** `torn-tail`: a crash cut the last record short, which nobody was promised. The others are damage. */
  readonly kind: 'torn-tail' | 'damaged-record' | 'damaged-header' | 'damaged-snapshot' | 'missing-journal';
  readonly file: string;
  /** Byte offset of the first damage. */
  readonly offset: number;
  /** Records of the journal that were kept. */
  readonly recordsKept: number;
  /** Bytes of the journal that are not in the store any more. */
  readonly bytesDropped: number;
  /** Where the damaged file was put, when it was kept. */
  readonly keptAside?: string;
}

/** What recovery needs to know; all paths are in one folder. */
export interface RecoveryContext {
  readonly folder: string;
  readonly disk: Disk;
  readonly engine: SqlEngine;
  readonly migrations: readonly Migration[];
  readonly now: () => number;
}

/** An opened store's parts. */
export interface Recovered {
  readonly database: Database;
  readonly journal: Journal;
  /** Number of the last change. */
  readonly sequence: number;
  readonly snapshotBytes: number;
  readonly repair?: RepairReport;
}

/** Names of the store's files. */
export function storeFiles(folder: string): { readonly snapshot: string; readonly journal: string } {
  return { snapshot: join(folder, 'store.db'), journal: join(folder, 'store.journal') };
}

/** Where the snapshot and the journal before the last compaction are kept, to go back to when the snapshot is damaged. */
export function previousFiles(folder: string): { readonly snapshot: string; readonly journal: string } {
  const { snapshot, journal } = storeFiles(folder);
  return { snapshot: `${snapshot}.previous`, journal: `${journal}.previous` };
}

/**
 * Brings back the last durable state, makes a new store in an empty folder, repairs what a crash left. Nothing is
 * written before everything was read and understood. Throws StoreVersionError, StoreCorruptError, StoreReadError.
 */
export async function recover(context: RecoveryContext): Promise<Recovered> {
  const { disk, folder } = context;
  const files = storeFiles(folder);
  const snapshot = await read(disk, files.snapshot);
  const journal = await read(disk, files.journal);
  const log = journal && readLog(files.journal, journal);
  const base = baseState(context, snapshot, log) ?? (await earlierState(context, snapshot, log));
  const { database } = base;
  try {
    const snapshotVersion = database.version;
    const outdated = snapshotVersion < context.migrations.length;
    // The database changes its bytes from here on.
    const original = outdated && snapshot ? Buffer.from(snapshot) : snapshot;
    database.migrate(context.migrations);
    const after = log?.header?.after ?? 0;
    const before = replay(database, base.before, database.snapshotSequence, 0, after);
    if (base.before && before.sequence < after) throw damagedSnapshot(files, snapshot);
    const replayed = replay(database, log, before.sequence, journal?.length ?? 0);
    const found = describe(files, journal, log, replayed, base.damaged);
    try {
      if (outdated) await backUp(disk, folder, `version-${snapshotVersion}`, { snapshot: original, journal });
      const repair = found && (await keepDamaged(context, found, { snapshot, journal }));
      const rewrite = !snapshot || !journal || outdated || (repair && repair.kind !== 'torn-tail');
      const parts = rewrite
        ? await rewriteFiles(context, database, replayed.sequence)
        : {
            journal: await Journal.open(disk, folder, files.journal, replayed.end),
            snapshotBytes: snapshot.length,
          };
      if (repair) await parts.journal.cut();
      return { database, sequence: replayed.sequence, ...parts, ...(repair ? { repair } : {}) };
    } catch (error) {
      throw new StoreWriteError(folder, error);
    }
  } catch (error) {
    database.close();
    throw error;
  }
}

interface FileBytes {
  readonly snapshot: Buffer | undefined;
  readonly journal: Buffer | undefined;
}

async function backUp(disk: Disk, folder: string, suffix: string, bytes: FileBytes): Promise<void> {
  const files = storeFiles(folder);
  if (bytes.snapshot) await replaceFile(disk, folder, `${files.snapshot}.${suffix}`, [bytes.snapshot]);
  if (bytes.journal) await replaceFile(disk, folder, `${files.journal}.${suffix}`, [bytes.journal]);
}

// A copy under the new name, not a rename: a crash in between must find the store as it was.
async function keepDamaged(
  { disk, folder, now }: RecoveryContext,
  repair: RepairReport,
  bytes: FileBytes,
): Promise<RepairReport> {
  const damaged = repair.kind === 'damaged-snapshot' ? bytes.snapshot : bytes.journal;
  if (repair.kind === 'torn-tail' || !damaged) return repair;
  const keptAside = `${repair.file}.damaged-${new Date(now()).toISOString().replaceAll(/[:.]/g, '-')}`;
  await replaceFile(disk, folder, keptAside, [damaged]);
  return { ...repair, keptAside };
}

interface Log {
  readonly header?: JournalHeader;
  readonly lines: readonly Frame[];
}

interface Replayed {
  readonly sequence: number;
  /** Offset behind the last good record. */
  readonly end: number;
  readonly kept: number;
}

async function read(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    return await disk.read(path);
  } catch (error) {
    throw new StoreReadError(path, error);
  }
}

function readLog(file: string, bytes: Buffer): Log {
  const [first, ...lines] = frames(bytes);
  const header = first?.payload === undefined ? undefined : parseHeader(first.payload);
  if (header && header.version > JOURNAL_VERSION) {
    throw new StoreVersionError(file, header.version, JOURNAL_VERSION);
  }
  return { lines, ...(header ? { header } : {}) };
}

/** What the journal goes on from. */
interface Base {
  readonly database: Database;
  readonly damaged: boolean;
  /** A journal to replay before the one of now. */
  readonly before?: Log;
}

/** Undefined when the snapshot is damaged or missing, and the journal only continues it. */
function baseState(
  context: RecoveryContext,
  snapshot: Buffer | undefined,
  log: Log | undefined,
): Base | undefined {
  const { engine, folder, migrations } = context;
  const files = storeFiles(folder);
  const content = snapshot && openSnapshot(files.snapshot, snapshot);
  if (!content) {
    // A journal that goes back to the store's first day holds everything; a later one only continues the snapshot.
    if (log ? log.header?.after !== 0 : snapshot) return undefined;
    const database = Database.empty(engine, log?.header?.store ?? randomUUID(), migrations);
    return { database, damaged: log !== undefined };
  }
  const database = Database.load(engine, content);
  let refusal: Error | undefined;
  if (database.version > migrations.length) {
    refusal = new StoreVersionError(files.snapshot, database.version, migrations.length);
  } else if (log?.header && log.header.store !== database.store) {
    refusal = new StoreCorruptError(files.journal, 'it belongs to another store');
  } else if (log?.header && log.header.after > database.snapshotSequence) {
    refusal = new StoreCorruptError(files.snapshot, 'it is older than the journal beside it');
  }
  if (!refusal) return { database, damaged: false };
  database.close();
  throw refusal;
}

/**
 * The state of the compaction before, when what came after it is there without a gap: its snapshot, its journal, and the
 * journal of now. Throws StoreCorruptError.
 */
async function earlierState(
  { disk, folder, engine, migrations }: RecoveryContext,
  snapshot: Buffer | undefined,
  log: Log | undefined,
): Promise<Base> {
  const previous = previousFiles(folder);
  const refusal = damagedSnapshot(storeFiles(folder), snapshot);
  const bytes = await read(disk, previous.snapshot);
  const content = bytes && openSnapshot(previous.snapshot, bytes);
  if (!content || !log?.header) throw refusal;
  const journal = await read(disk, previous.journal);
  const before = journal ? readLog(previous.journal, journal) : { lines: [] };
  const database = Database.load(engine, content);
  const { store } = log.header;
  if (database.store === store && (before.header?.store ?? store) === store) {
    if (database.version <= migrations.length) return { database, damaged: true, before };
  }
  database.close();
  throw refusal;
}

function damagedSnapshot(files: { readonly snapshot: string }, snapshot: Buffer | undefined): Error {
  return new StoreCorruptError(files.snapshot, snapshot ? 'its checksum is wrong' : 'it is missing');
}

/**
 * Applies the records that the snapshot does not hold, up to the number `last`, and to the first that is damaged or out of
 * line. Of an earlier journal none is taken that the one of now may have otherwise: a repair gives numbers again.
 */
function replay(
  database: Database,
  log: Log | undefined,
  start: number,
  length: number,
  last = Infinity,
): Replayed {
  let sequence = start;
  let kept = 0;
  // A journal without records is good up to its header's end.
  let end = log?.lines[0]?.offset ?? length;
  for (const line of log?.lines ?? []) {
    const record = line.payload === undefined ? undefined : parseRecord(line.payload);
    if (!record || record.seq > Math.min(sequence + 1, last)) break;
    if (record.seq === sequence + 1) {
      if (!applies(database, record)) break;
      sequence = record.seq;
    }
    kept++;
    end = line.end;
  }
  return { sequence, end, kept };
}

function applies(database: Database, record: JournalRecord): boolean {
  try {
    database.apply(record);
    return true;
  } catch (error) {
    // A change that contradicts the state cannot have been written over it: as good as damaged.
    if (error instanceof StoreConflictError) return false;
    throw error;
  }
}

function describe(
  files: ReturnType<typeof storeFiles>,
  journal: Buffer | undefined,
  log: Log | undefined,
  { end, kept, sequence }: Replayed,
  snapshotDamaged: boolean,
): RepairReport | undefined {
  if (!journal || !log) {
    // The first snapshot is written before the first journal; later the journal is only ever replaced.
    return sequence > 0
      ? { kind: 'missing-journal', file: files.journal, offset: 0, recordsKept: 0, bytesDropped: 0 }
      : undefined;
  }
  const common = { recordsKept: kept, bytesDropped: journal.length - end };
  if (snapshotDamaged) return { kind: 'damaged-snapshot', file: files.snapshot, offset: 0, ...common };
  if (!log.header) return { kind: 'damaged-header', file: files.journal, offset: 0, ...common };
  const bad = log.lines[kept];
  if (!bad) return undefined;
  const kind = bad.torn ? 'torn-tail' : 'damaged-record';
  return { kind, file: files.journal, offset: end, ...common };
}

async function rewriteFiles(
  context: RecoveryContext,
  database: Database,
  sequence: number,
): Promise<{ journal: Journal; snapshotBytes: number }> {
  const { disk, folder } = context;
  const files = storeFiles(folder);
  await disk.makeFolder(folder);
  const bytes = database.export(sequence);
  const seal = snapshotSeal(bytes);
  await replaceFile(disk, folder, files.snapshot, [bytes, seal]);
  const header = encodeHeader(database.store, sequence);
  await replaceFile(disk, folder, files.journal, [header]);
  const journal = await Journal.open(disk, folder, files.journal, header.length);
  return { journal, snapshotBytes: bytes.length + seal.length };
}

/** Puts a file in place of another (or none), durably and at once. */
export async function replaceFile(
  disk: Disk,
  folder: string,
  path: string,
  parts: readonly Uint8Array[],
): Promise<void> {
  await writeDurable(disk, `${path}.new`, parts);
  await disk.rename(`${path}.new`, path);
  await disk.syncFolder(folder);
}
