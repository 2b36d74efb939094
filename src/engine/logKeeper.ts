import type { JobRecord } from '../queue';
import type { LogMirror } from './logMirror';

/** What keeping logs needs from the engine around it. */
export interface LogKeeperHost {
  /** Holds the mirror of a job's log, which brings it here. */
  log(record: JobRecord): { mirror: LogMirror; release: () => void };
  /** Whether all nodes of a job can be talked to. */
  reachable(record: JobRecord): boolean;
}

// Logs are brought while there is nothing more urgent, and few at a time.
const DELAY_MS = 500;
const AT_ONCE = 2;
// A node that says nothing for so long is asked again another time.
const PATIENCE_MS = 30_000;
// Larger logs come when somebody looks at them.
const LARGEST_BYTES = 64 << 20;

/** Brings the logs of ended jobs here, in the background, so that they are at hand when their nodes are not. */
export class LogKeeper {
  private readonly waiting = new Map<string, JobRecord>();
  private readonly busy = new Map<string, () => void>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly host: LogKeeperHost) {}

  /** Uuids of jobs whose logs are still to come. */
  get missing(): Iterable<string> {
    return this.waiting.keys();
  }

  /** A job has ended, and its log may not be here whole. */
  add(record: JobRecord): void {
    if (!record.placement || record.logBytes !== undefined) return;
    this.waiting.set(record.uuid, record);
    this.soon();
  }

  /** All of a job's log has come because somebody looked at it. One that is being brought says so itself. */
  arrived(uuid: string): void {
    if (!this.busy.has(uuid)) this.waiting.delete(uuid);
  }

  /** Looks again, soon: a node can be talked to. */
  soon(): void {
    if (this.closed || this.timer || this.waiting.size === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.work();
    }, DELAY_MS);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const stop of [...this.busy.values()]) stop();
  }

  private work(): void {
    for (const [uuid, record] of this.waiting) {
      if (this.busy.size >= AT_ONCE) return;
      if (!this.busy.has(uuid) && this.host.reachable(record)) this.bring(record);
    }
  }

  private bring(record: JobRecord): void {
    const { uuid } = record;
    const { mirror, release } = this.host.log(record);
    const stops: (() => void)[] = [];
    let quiet: NodeJS.Timeout | undefined;
    const stop = (): void => {
      clearTimeout(quiet);
      for (const end of stops) end();
      release();
      this.busy.delete(uuid);
    };
    const done = (): void => {
      this.waiting.delete(uuid);
      stop();
      this.work();
    };
    const patient = (): void => {
      clearTimeout(quiet);
      quiet = setTimeout(() => {
        stop();
        this.soon();
      }, PATIENCE_MS);
    };
    this.busy.set(uuid, stop);
    stops.push(
      mirror.onEnd(done),
      mirror.onAppend(() => {
        if (mirror.size > LARGEST_BYTES) done();
        else patient();
      }),
    );
    patient();
    if (mirror.complete) setImmediate(() => this.busy.get(uuid) === stop && done());
  }
}
