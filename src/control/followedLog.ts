import { Emitter, logSize, readLog, type LogAppend } from '../engine';
import type { Backend } from './backend';
import type { QueueLog } from './queue';

const CHUNK_BYTES = 256 * 1024;

/** A log whose file another process writes: read from the local disk, as far as that process says it has grown. */
export class FollowedLog implements QueueLog {
  private readonly appended = new Emitter<LogAppend>();
  private readonly finished = new Emitter<undefined>();
  readonly onAppend = this.appended.on;
  readonly onEnd = this.finished.on;
  private at: number;
  private target = 0;
  private ending = false;
  private over = false;
  private reading = false;
  private unfollow: () => void = () => undefined;

  constructor(
    readonly file: string,
    private readonly cluster: string,
    private readonly id: number,
  ) {
    // Whoever asks for the log reads what is there by himself.
    this.at = logSize(file) ?? 0;
  }

  get complete(): boolean {
    return this.over;
  }

  /** Follows by this backend, instead of the one before. */
  attach(backend: Backend): void {
    this.unfollow();
    if (this.over) return;
    this.unfollow = backend.follow(this.cluster, this.id, ({ size, ended }) => {
      // A torn last line that the writer cut off is written again.
      if (size < this.at && !ended) this.at = size;
      this.target = size;
      this.ending = ended;
      void this.read();
    });
  }

  release(): void {
    this.unfollow();
    this.unfollow = () => undefined;
    this.over = true;
  }

  private async read(): Promise<void> {
    if (this.reading || this.over) return;
    this.reading = true;
    try {
      while (this.at < this.target && !this.released()) await this.readTo(this.target);
    } catch {
      // The file is gone (its folder was cleared): there is nothing to show.
      this.at = this.target;
    }
    this.reading = false;
    if (this.ending && !this.released()) {
      this.over = true;
      this.unfollow();
      this.finished.fire(undefined);
    }
  }

  private released(): boolean {
    return this.over;
  }

  private async readTo(target: number): Promise<void> {
    while (this.at < target && !this.released()) {
      const { at, bytes } = await readLog(this.file, this.at, Math.min(CHUNK_BYTES, target - this.at));
      if (bytes.length === 0) throw new Error(`${this.file} is shorter than it was`);
      this.at = at + bytes.length;
      this.appended.fire({ at, bytes });
    }
  }
}
