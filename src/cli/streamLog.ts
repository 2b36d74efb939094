import { open } from 'node:fs/promises';
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
    if (!options.follow) await gathered(cli, mirror, cluster, id);
    await printer.printFile(options.tail);
    if (!options.follow) return true;
    printer.go();
    return await ended(cli, mirror, cluster, id);
  } finally {
    printer.stop();
    release();
  }
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
      if (this.going) this.put(append.at, append.bytes);
      else this.waiting.push(append);
    });
  }

  async printFile(tail: number): Promise<void> {
    const file = await open(this.mirror.file, 'r').catch(() => undefined);
    if (!file) return;
    try {
      const { size } = await file.stat();
      this.at = tail > 0 ? await startOfLast(file, size, tail) : 0;
      while (this.at < size && !this.cli.signal.aborted) {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, this.at);
        if (bytesRead === 0) break;
        this.cli.terminal.write(buffer.subarray(0, bytesRead));
        this.at += bytesRead;
      }
    } finally {
      await file.close();
    }
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

/** Where the last `count` lines of a file begin. */
async function startOfLast(
  file: Awaited<ReturnType<typeof open>>,
  size: number,
  count: number,
): Promise<number> {
  let wanted = count;
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const { buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    for (let at = buffer.length - 1; at >= 0; at--) {
      // The line break that ends the file ends a line, it begins none.
      if (buffer[at] !== 0x0a || start + at === size - 1) continue;
      if (--wanted === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
