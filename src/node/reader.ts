import { ProtocolError } from './wire';

/** Where the reader delivers. `data` may return a promise: reading waits for it. */
export interface ReaderSink {
  line(text: string): void;
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

  /** Takes the next chunk; resolves when the sink has taken all of it. @throws ProtocolError */
  async push(chunk: Buffer): Promise<void> {
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
        if (pending) await pending;
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
      this.take(line.toString('utf8'));
    }
  }

  private keep(bytes: Buffer): void {
    this.partialLength += bytes.length;
    if (this.partialLength > LONGEST_LINE) throw new ProtocolError('the node sent a line of over 1 MiB');
    this.partial.push(Buffer.from(bytes));
  }

  private take(line: string): void {
    const match = /^D (\d+) (\d+) (\d+)$/.exec(line);
    if (!match) {
      this.sink.line(line);
      return;
    }
    const left = Number(match[3]);
    if (left > 0) this.frame = { slot: Number(match[1]), offset: Number(match[2]), left };
  }
}
