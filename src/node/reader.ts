import { ProtocolError } from './wire';

/** Where the reader delivers. Where a promise is returned, reading waits for it. */
export interface ReaderSink {
  line(text: string): void | Promise<void>;
  data(slot: number, offset: number, bytes: Buffer): void | Promise<void>;
}

// An answer's line is bounded by the agent; a node that sends more without a newline is not speaking our language.
const LONGEST_LINE = 1 << 20;

/** Splits an agent's output into lines and the raw bytes of log frames (`D SLOT OFFSET LENGTH`), copying no log byte. */
export class WireReader {
  private partial: Buffer[] = [];
  private partialLength = 0;
  private frame: { slot: number; offset: number; left: number } | undefined;

  constructor(private readonly sink: ReaderSink) {}

  /**
   * Takes the next chunk, at once unless the sink has to be waited for: then what is returned resolves when it has taken all.
   * @throws ProtocolError
   */
  push(chunk: Buffer): void | Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      if (this.frame) {
        const frame = this.frame;
        const bytes = chunk.subarray(at, at + frame.left);
        at += bytes.length;
        const offset = frame.offset;
        frame.offset += bytes.length;
        frame.left -= bytes.length;
        if (frame.left === 0) this.frame = undefined;
        const pending = this.sink.data(frame.slot, offset, bytes);
        if (pending) return pending.then(() => this.push(chunk.subarray(at)));
        continue;
      }
      const newline = chunk.indexOf(10, at);
      if (newline < 0) {
        this.keep(chunk.subarray(at));
        return;
      }
      const rest = chunk.subarray(at, newline);
      at = newline + 1;
      const line = this.partialLength === 0 ? rest : Buffer.concat([...this.partial, rest]);
      this.partial = [];
      this.partialLength = 0;
      const pending = this.take(line.toString('utf8'));
      if (pending) return pending.then(() => this.push(chunk.subarray(at)));
    }
  }

  private keep(bytes: Buffer): void {
    this.partialLength += bytes.length;
    if (this.partialLength > LONGEST_LINE) throw new ProtocolError('the node sent a line of over 1 MiB');
    this.partial.push(Buffer.from(bytes));
  }

  private take(line: string): void | Promise<void> {
    const match = /^D (\d+) (\d+) (\d+)$/.exec(line);
    if (!match) return this.sink.line(line);
    const left = Number(match[3]);
    if (left > 0) this.frame = { slot: Number(match[1]), offset: Number(match[2]), left };
  }
}
