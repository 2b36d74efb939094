import { isFinished } from '../queue';
import type { QueueLog } from '../control';
import { until, type QueueCli } from './withQueue';

const CHUNK_BYTES = 1 << 20;
// A log that does not follow is printed as far as it is here once it has been quiet for so long.
const QUIET_MS = 300;
const LONGEST_QUIET_MS = 3000;
// After a job's end its log is complete within a moment, unless its node went away just then.
const LAST_LINES_MS = 5000;

export interface StreamOptions {
  readonly follow: boolean;
  /** Only the last so many lines of what is there; 0: all. */
  readonly tail: number;
}

/** Prints a job's log, and what comes until its end if it is to be followed. False: interrupted. */
export async function streamLog(
  cli: QueueCli,
  cluster: string,
  id: number,
  options: StreamOptions,
): Promise<boolean> {
  const { mirror, release } = cli.queue.log(cluster, id);
  const printer = new Printer(cli, mirror);
  try {
    // Else the last lines would be those of what is here by now.
    if (!options.follow || options.tail > 0) await gathered(cli, mirror, cluster, id);
    await printer.printFile(options.tail);
    if (!options.follow) return true;
    printer.go();
    return await ended(cli, mirror, cluster, id);
  } finally {
    printer.stop();
    release();
  }
}

/** Prints a log that will not grow any more. False: there is no such file. */
export async function printLogFile(cli: QueueCli, file: string, tail: number): Promise<boolean> {
  const over = { file, complete: true, onAppend: () => () => undefined, onEnd: () => () => undefined };
  return new Printer(cli, over).printFile(tail);
}

/** Has a job's log brought here as far as it can be, and returns its file. */
export async function gatherLog(cli: QueueCli, cluster: string, id: number): Promise<string> {
  const { mirror, release } = cli.queue.log(cluster, id);
  await gathered(cli, mirror, cluster, id);
  release();
  return mirror.file;
}

/** Prints the file, and then what is appended to it, each byte once. */
class Printer {
  private at = 0;
  private readonly waiting: { at: number; bytes: Buffer }[] = [];
  private going = false;
  readonly stop: () => void;

  constructor(
    private readonly cli: QueueCli,
    private readonly mirror: QueueLog,
  ) {
    this.stop = mirror.onAppend((append) => {
      // A pipe that is not read keeps them.
      const bytes = Buffer.from(append.bytes);
      if (this.going) this.put(append.at, bytes);
      else this.waiting.push({ at: append.at, bytes });
    });
  }

  /** False: there is no file. */
  async printFile(tail: number): Promise<boolean> {
    const { droppedLine, logSize, piecesOf } = await import('../engine');
    const { file } = this.mirror;
    const size = logSize(file);
    if (size === undefined) return false;
    this.at = tail > 0 ? await startOfLast(file, size, tail) : 0;
    for await (const { at, bytes, dropped } of piecesOf(file, this.at)) {
      if (dropped > 0) this.cli.terminal.write(Buffer.from(`\n${droppedLine(dropped)}`));
      this.cli.terminal.write(bytes);
      this.at = at + bytes.length;
      if (this.at >= size || this.cli.signal.aborted) break;
    }
    return true;
  }

  go(): void {
    this.going = true;
    for (const { at, bytes } of this.waiting.splice(0)) this.put(at, bytes);
  }

  private put(at: number, bytes: Buffer): void {
    const fresh = bytes.subarray(Math.max(0, this.at - at));
    this.at = Math.max(this.at, at + bytes.length);
    if (fresh.length > 0) this.cli.terminal.write(fresh);
  }
}

async function ended(cli: QueueCli, mirror: QueueLog, cluster: string, id: number): Promise<boolean> {
  const complete = mirror.complete
    ? Promise.resolve()
    : new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
  const finished = (): boolean => isFinished(cli.queue.job(cluster, id).record.status);
  if (!(await until(cli, finished))) return false;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, LAST_LINES_MS)));
  await Promise.race([complete, late]);
  clearTimeout(timer);
  return true;
}

/** Waits until the file has what the nodes have now. */
async function gathered(cli: QueueCli, mirror: QueueLog, cluster: string, id: number): Promise<void> {
  if (mirror.complete || cli.queue.job(cluster, id).record.status === 'PENDING') return;
  const finished = isFinished(cli.queue.job(cluster, id).record.status);
  await new Promise<void>((resolve) => {
    const stops: (() => void)[] = [];
    const done = (): void => {
      clearTimeout(quiet);
      clearTimeout(last);
      for (const stop of stops) stop();
      resolve();
    };
    // An ended job's log has an end to wait for; a running one's has only pauses.
    let quiet = finished ? undefined : setTimeout(done, LONGEST_QUIET_MS / 3);
    const last = setTimeout(done, finished ? LAST_LINES_MS : LONGEST_QUIET_MS);
    stops.push(
      mirror.onEnd(done),
      mirror.onAppend(() => {
        if (finished) return;
        clearTimeout(quiet);
        quiet = setTimeout(done, QUIET_MS);
      }),
    );
    cli.signal.addEventListener('abort', done, { once: true });
  });
}

/** Where the last `count` lines of a log begin, or what there is of them before a gap. */
async function startOfLast(file: string, size: number, count: number): Promise<number> {
  const { readBack } = await import('../engine');
  let wanted = count;
  let end = size;
  while (end > 0) {
    const { at: start, bytes } = await readBack(file, end, CHUNK_BYTES);
    if (bytes.length === 0) break;
    for (let at = bytes.length - 1; at >= 0; at--) {
      // The line break that ends the log ends a line, it begins none.
      if (bytes[at] !== 0x0a || start + at === size - 1) continue;
      if (--wanted === 0) return start + at + 1;
    }
    end = start;
  }
  return end;
}
