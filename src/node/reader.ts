import { ProtocolError } from './wire';

/** Where the reader delivers. Where a promise is returned, reading waits for it. Bytes are lent until then. */
export interface ReaderSink {
  line(text: string): void | Promise<void>;
  data(slot: number, offset: number, bytes: Buffer): void | Promise<void>;
}

// An answer's line is bounded by the agent; a node that sends more without a newline is not speaking our language.
const LONGEST_LINE = 1 << 20;

const [LETTER_D, SPACE, DIGIT_0] = [0x44, 0x20, 0x30];

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
      const whole = this.partialLength === 0;
      const line = whole ? chunk : this.joined(chunk.subarray(at, newline));
      const from = whole ? at : 0;
      const to = whole ? newline : line.length;
      at = newline + 1;
      if (this.begins(line, from, to)) continue;
      const pending = this.sink.line(line.toString('utf8', from, to));
      if (pending) return pending.then(() => this.push(chunk.subarray(at)));
    }
  }

  /** The line that was kept in part, with its end. */
  private joined(rest: Buffer): Buffer {
    const line = Buffer.concat([...this.partial, rest]);
    this.partial = [];
    this.partialLength = 0;
    return line;
  }

  private keep(bytes: Buffer): void {
    this.partialLength += bytes.length;
    if (this.partialLength > LONGEST_LINE) throw new ProtocolError('the node sent a line of over 1 MiB');
    this.partial.push(Buffer.from(bytes));
  }

  /**
   * Whether the line that lies there begins a frame. By the byte, and where it lies: of a job that writes now and then no line
   * finds compiled code here.
   */
  private begins(bytes: Buffer, from: number, to: number): boolean {
    if (bytes[from] !== LETTER_D || bytes[from + 1] !== SPACE) return false;
    const numbers: number[] = [];
    let number = -1;
    for (let at = from + 2; at <= to; at++) {
      const digit = (at === to ? SPACE : (bytes[at] ?? SPACE)) - DIGIT_0;
      if (digit >= 0 && digit <= 9) {
        number = (number < 0 ? 0 : number * 10) + digit;
      } else if (digit + DIGIT_0 === SPACE && number >= 0) {
        numbers.push(number);
        number = -1;
      } else {
        return false;
      }
    }
    const [slot, offset, left] = numbers;
    if (slot === undefined || offset === undefined || left === undefined) return false;
    if (left > 0) this.frame = { slot, offset, left };
    return true;
  }
}
