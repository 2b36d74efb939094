import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { unpackCommand, type AgentSession } from '../../node';
import type { Channel } from '../../transport';
import type { Manifest } from './manifest';
import { planSend, type Base, type SendPlan } from './plan';
import type { Snapshots } from './snapshots';
import { treeStream } from './treeStream';

/** How far a sync is. */
export interface SyncProgress {
  readonly files: number;
  readonly totalFiles: number;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Who waits for a sync. */
export interface SyncWatcher {
  progress(progress: SyncProgress): void;
  readonly signal: AbortSignal;
}

type Exec = (command: string) => Promise<Channel>;

/** A sync under way, for all who wait for it; it ends early only when none of them does any more. */
interface Sending {
  readonly done: Promise<void>;
  readonly watchers: Set<SyncWatcher>;
  readonly abort: AbortController;
  last: SyncProgress | undefined;
}

// A node that answers sooner is near, and its network takes bytes faster than gzip makes them fewer.
const NEAR_MS = 3;
// How many of the snapshots that a node has are looked through for files of a new one.
const MOST_BASES = 3;
const PROGRESS_MS = 200;
// What a node says after the files that an earlier try has brought.
const GO = 'CQ1 go\n';

/** Brings snapshots to nodes: of each only the files that the node has in none of its earlier ones. */
export class Sender {
  private readonly sending = new Map<string, Sending>();

  constructor(private readonly snapshots: Snapshots) {}

  /**
   * Makes sure that a node has the tree of a snapshot; one round trip when it has. Nodes with one home get it once.
   * @throws Error with the node's words, or the reason of the signal
   */
  async send(name: string, session: AgentSession, exec: Exec, watcher: SyncWatcher): Promise<void> {
    for (;;) {
      watcher.signal.throwIfAborted();
      const asked = performance.now();
      const answer = await session.hasSnapshot(name, await this.snapshots.others(name));
      if (answer === 'yes') return;
      const near = performance.now() - asked < NEAR_MS;
      const key = `${answer.home}/${name}`;
      const other = this.sending.get(key);
      if (other) {
        // Through the same session or that of another node with this home; whatever comes of it, the node is asked again.
        await this.join(other, watcher).catch(() => undefined);
        continue;
      }
      const abort = new AbortController();
      const sending: Sending = {
        abort,
        watchers: new Set(),
        last: undefined,
        done: this.bring(name, session, exec, { ...answer, near }, abort.signal, (progress) => {
          sending.last = progress;
          for (const one of sending.watchers) one.progress(progress);
        }).finally(() => this.sending.delete(key)),
      };
      this.sending.set(key, sending);
      await this.join(sending, watcher);
      return;
    }
  }

  private async join(sending: Sending, watcher: SyncWatcher): Promise<void> {
    sending.watchers.add(watcher);
    if (sending.last) watcher.progress(sending.last);
    let leave = (): void => undefined;
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => {
        sending.watchers.delete(watcher);
        if (sending.watchers.size === 0) sending.abort.abort(watcher.signal.reason);
        reject(watcher.signal.reason instanceof Error ? watcher.signal.reason : new Error('given up'));
      };
    });
    watcher.signal.addEventListener('abort', leave, { once: true });
    try {
      await Promise.race([sending.done, left]);
    } finally {
      watcher.signal.removeEventListener('abort', leave);
      sending.watchers.delete(watcher);
    }
  }

  private async bring(
    name: string,
    session: AgentSession,
    exec: Exec,
    found: { readonly bases: readonly string[]; readonly part: boolean; readonly near: boolean },
    signal: AbortSignal,
    progress: (progress: SyncProgress) => void,
  ): Promise<void> {
    const manifest = await this.snapshots.manifest(name);
    const bases: Base[] = [];
    for (const base of found.bases.slice(0, MOST_BASES)) {
      const known = await this.snapshots.manifest(base).catch(() => undefined);
      if (known) bases.push({ name: base, manifest: known });
    }
    const job = { name, manifest, exec, near: found.near, signal, progress };
    const first = await this.stream({ ...job, bases, part: found.part });
    if (first.ok) return;
    signal.throwIfAborted();
    // A home without hard links, or a base that was swept this very moment: once more, without them.
    const again = first.linked ? await this.stream({ ...job, bases: [], part: true }) : first;
    signal.throwIfAborted();
    if (!again.ok)
      throw new Error(
        `the workdir could not be put on ${session.node}: ${again.said.trim() || 'the connection broke'}`,
      );
  }

  private async stream(job: {
    readonly name: string;
    readonly manifest: Manifest;
    readonly bases: readonly Base[];
    readonly part: boolean;
    readonly near: boolean;
    readonly exec: Exec;
    readonly signal: AbortSignal;
    readonly progress: (progress: SyncProgress) => void;
  }): Promise<{ ok: boolean; linked: boolean; said: string }> {
    const into = `new-${randomBytes(8).toString('hex')}`;
    const channel = await job.exec(unpackCommand(job.name, into, { part: job.part, packed: !job.near }));
    const answer = new Answer(channel);
    const stop = (): void => {
      channel.stdin.destroy();
    };
    job.signal.addEventListener('abort', stop, { once: true });
    let plan: SendPlan | undefined;
    const contents = await this.snapshots.reader();
    try {
      if (job.signal.aborted) stop();
      const arrived = job.part ? arrivedFiles(await answer.until(GO), into) : undefined;
      plan = planSend(job.manifest, job.bases, arrived);
      const { files, bytes } = plan;
      let told = 0;
      const source = Readable.from(
        treeStream(job.manifest, plan, into, contents, (sent) => {
          const now = performance.now();
          if (now - told < PROGRESS_MS) return;
          told = now;
          job.progress({ files: sent.files, totalFiles: files, bytes: sent.bytes, totalBytes: bytes });
        }),
        { objectMode: true, highWaterMark: 2 },
      );
      if (job.near) await pipeline(source, channel.stdin);
      else await pipeline(source, createGzip({ level: 1 }), channel.stdin);
    } catch (error) {
      // A node whose disk is full ends the command early; what it said counts, not that the pipe broke.
      if (!isPipeError(error)) {
        stop();
        throw error;
      }
    } finally {
      job.signal.removeEventListener('abort', stop);
      await contents.close();
    }
    const ok = await answer.ok;
    return { ok, linked: (plan?.links.size ?? 0) > 0, said: answer.said };
  }
}

/** What an `unpack` says. */
class Answer {
  /** Its words, the last of them. */
  said = '';
  /** Whether it said that all is there; resolves as soon as it did, or has ended. */
  readonly ok: Promise<boolean>;
  private listing = '';
  private heard: () => void = () => undefined;
  private ended = false;

  constructor(channel: Channel) {
    this.ok = new Promise((resolve) => {
      channel.stdout.on('data', (chunk: Buffer) => {
        // One character per byte: names of files need not be UTF-8.
        this.listing += chunk.toString('latin1');
        this.said = (this.said + chunk.toString('utf8')).slice(-2000);
        if (/^CQ1 ok$/m.test(this.said)) resolve(true);
        this.heard();
      });
      channel.stderr.on(
        'data',
        (chunk: Buffer) => (this.said = (this.said + chunk.toString('utf8')).slice(-2000)),
      );
      void channel.exit.then(() => {
        this.ended = true;
        this.heard();
        resolve(/^CQ1 ok$/m.test(this.said));
      });
    });
  }

  /** What was said before `mark`; all that was, when it is never said. */
  async until(mark: string): Promise<string> {
    while (!this.listing.includes(mark) && !this.ended)
      await new Promise<void>((resolve) => (this.heard = resolve));
    const [before = '', after] = this.listing.split(mark);
    if (after !== undefined) this.said = after;
    return before;
  }
}

/** Sizes by path, from lines of `wc -c`. A name with a newline is not found, and its file sent again. */
function arrivedFiles(listing: string, into: string): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const line of listing.split('\n')) {
    const match = /^ *(\d+) (.*)$/.exec(line);
    if (!match?.[2]?.startsWith(`${into}/`)) continue;
    sizes.set(Buffer.from(match[2].slice(into.length + 1), 'latin1').toString('utf8'), Number(match[1]));
  }
  return sizes;
}

function isPipeError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return /^(EPIPE|ECONNRESET|ERR_STREAM_(PREMATURE_CLOSE|DESTROYED|WRITE_AFTER_END|UNABLE_TO_PIPE))$/.test(
    code,
  );
}
