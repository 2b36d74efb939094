import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { Terminal } from '../terminal';

// The log and the one before it.
const LARGEST_BYTES = 1 << 20;

/** Where a process that nobody sees says what it does: lines with their time in a file that does not grow for ever. */
export class LogTerminal extends Terminal {
  constructor(
    private readonly file: string,
    private readonly largestBytes = LARGEST_BYTES,
  ) {
    super();
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  }

  override get canAsk(): boolean {
    return false;
  }

  override print(text: string): void {
    this.note(text);
  }

  override note(text: string): void {
    try {
      const size = statSync(this.file, { throwIfNoEntry: false })?.size ?? 0;
      if (size > this.largestBytes) renameSync(this.file, `${this.file}.1`);
      appendFileSync(this.file, `${new Date().toISOString()} ${text}\n`, { mode: 0o600 });
    } catch {
      // The disk is full or gone: the queue itself says so to whoever asks it, and goes on.
    }
  }
}
