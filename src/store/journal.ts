import { JOURNAL_VERSION, type Change, type JournalHeader, type JournalRecord } from './changes';
import { writeAll, type Disk, type DiskFile } from './disk';
import { encodeFrame } from './frame';

/** The line that opens a journal whose first record will be the one after the number. */
export function encodeHeader(store: string, after: number): Buffer {
  const header: JournalHeader = { format: 'cluster-queue journal', version: JOURNAL_VERSION, store, after };
  return encodeFrame(JSON.stringify(header));
}

/** The line of one change. */
export function encodeRecord(seq: number, change: Change): Buffer {
  const record: JournalRecord = { v: JOURNAL_VERSION, seq, ...change };
  return encodeFrame(JSON.stringify(record));
}

/** The journal open for appending. Nothing here is safe to call while a call before it is under way. */
export class Journal {
  /** Something may lie behind `length`: a failed append that could not be cut off yet. */
  private ragged = false;
  /** The name of the file may not survive a power cut yet. */
  private unnamed = false;

  private constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    readonly path: string,
    private file: DiskFile,
    /** Bytes of good records, header included. */
    private good: number,
  ) {}

  /** Opens an existing journal; whatever lies behind `length` bytes is cut off before the next append. */
  static async open(disk: Disk, folder: string, path: string, length: number): Promise<Journal> {
    const journal = new Journal(disk, folder, path, await disk.open(path), length);
    journal.ragged = true;
    return journal;
  }

  get length(): number {
    return this.good;
  }

  /** Appends the lines and resolves when they are durable. On an error none of them is there. */
  async append(lines: readonly Uint8Array[]): Promise<void> {
    if (this.unnamed) await this.syncName();
    if (this.ragged) await this.cut();
    const bytes = Buffer.concat(lines);
    try {
      await writeAll(this.file, bytes, this.good);
      await this.file.sync();
    } catch (error) {
      this.ragged = true;
      // At once if the disk lets us, so that a crash now does not bring back what we say has failed;
      // else before the next append.
      await this.cut().catch(() => undefined);
      throw error;
    }
    this.good += bytes.length;
  }

  /**
   * Replaces the file by one with the header and the lines that this one has from `offset` on. On an error the old
   * file stays in use; a crash at any point leaves the old or the new one, and both continue the new snapshot.
   */
  async restart(header: Uint8Array, offset: number): Promise<void> {
    const temporary = `${this.path}.new`;
    const whole = await this.disk.read(this.path);
    if (!whole || whole.length < this.good)
      throw new Error(`${this.path} was cut or removed by someone else`);
    const tail = whole.subarray(offset, this.good);
    const file = await this.disk.create(temporary);
    const old = this.file;
    let closed = false;
    try {
      await writeAll(file, Buffer.concat([header, tail]), 0);
      await file.sync();
      if (!this.disk.replacesOpenFiles) {
        closed = true;
        await old.close();
      }
      await this.disk.rename(temporary, this.path);
    } catch (error) {
      await file.close();
      await this.disk.remove(temporary).catch(() => undefined);
      if (closed) this.file = await this.disk.open(this.path);
      throw error;
    }
    this.file = file;
    this.good = header.length + tail.length;
    this.ragged = false;
    // From here on appends go to the new file, so its name must be durable before the next one is acknowledged.
    this.unnamed = true;
    if (!closed) await old.close();
    await this.syncName();
  }

  /** Cuts off what a failed append may have left. */
  async cut(): Promise<void> {
    await this.file.truncate(this.good);
    await this.file.sync();
    this.ragged = false;
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private async syncName(): Promise<void> {
    await this.disk.syncFolder(this.folder);
    this.unnamed = false;
  }
}
