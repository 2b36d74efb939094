import type { Readable, Writable } from 'node:stream';
import { AGENT_ID, AGENT_TEXT } from './agentText';
import { parseFacts, type NodeFacts } from './facts';
import { WireReader } from './reader';
import {
  atBoot,
  encodeWord,
  parseEvent,
  parseJobState,
  ProtocolError,
  type AtBoot,
  type NodeEvent,
  type NodeJobState,
} from './wire';

/** A remote command's three streams; what a transport gives. */
export interface AgentChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Takes back bytes that came from stdout, and that nobody needs any more. */
  letGo?(bytes: Buffer): void;
}

/** The node said no. `code`: `write` (its disk), `boot`, `protocol`. */
export class AgentError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The session is gone; what was asked may or may not have happened. Ask again on the next connection. */
export class SessionClosedError extends Error {
  readonly code = 'closed';
}

/** One rank of a job, as the node needs to know it. */
export interface RankLaunch {
  readonly uuid: string;
  /** Lease names of its devices; `s:NAME` to share one. */
  readonly leases: readonly string[];
  /** Seconds between TERM and KILL. */
  readonly graceS: number;
  /** True for a gang: lease, report `ready`, and wait for `go`. */
  readonly hold: boolean;
  /** Name of an unpacked workdir on the node; the job gets a copy of its own. */
  readonly snapshot?: string;
  /** Bash text sourced before `run`: exports and the working directory. May hold secrets. */
  readonly env: string;
  /** The task's own text. */
  readonly run: string;
  /** Seconds after which a try is ended; without it, none is. */
  readonly timeoutS?: number;
  /** How often it is run again after an exit code other than 0; 0 unless given. */
  readonly retries?: number;
  /** For the node's books: what it takes, in the scheduler's units, and as which of its alternatives. */
  readonly use: RankUse;
}

/** What a rank takes of its node: thousandths of a CPU, KiB of memory, share units of each device. */
export interface RankUse {
  readonly cpus: number;
  readonly kib: number;
  readonly units: number;
  readonly devices: readonly number[];
  readonly alternative: number;
}

/** A job that waits on its node and may start there without a client; see wire.ts. */
export interface StagedLaunch {
  /** `KEY.CLASS.UUID`. */
  readonly name: string;
  readonly graceS: number;
  readonly snapshot?: string;
  /** As for a rank, without what depends on the devices: the node adds that. */
  readonly env: string;
  readonly run: string;
  /** As in `RankLaunch`. */
  readonly timeoutS?: number;
  readonly retries?: number;
  readonly want: string;
  /** UUIDs (of ranks) that must have succeeded before. */
  readonly after: readonly string[];
}

/** What became of a staged job that was asked back: `recalled` is nobody's any more. */
export type Recalled = NodeJobState | { readonly state: 'recalled' };

/** Takes a followed log's bytes in order, each exactly once; where offsets leave a gap, the node has dropped what was there. */
export interface LogSink {
  /** The bytes are lent until this returns, or what it returns resolves. */
  data(offset: number, bytes: Buffer): void | Promise<void>;
  /** The log is complete and `size` bytes long. */
  end(size: number): void;
}

/** What a node answered: the words after `ok`, and the lines before them. */
interface Answer {
  readonly words: string[];
  readonly lines: string[];
}

interface Waiting {
  readonly lines: string[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The command that starts a session. Quoted so that bash, dash, zsh, fish and tcsh, as login shells, all pass it on
 * unchanged; the bootstrap itself comes as the first line of stdin.
 */
export const SESSION_COMMAND = `exec sh -c 'IFS= read -r x;eval "$x"'`;

/**
 * The command that takes a snapshot as a tar stream on stdin, all of it below the folder `into` (see `unpack` in sh/files.sh),
 * and unpacks it whole or not at all; says `CQ1 ok` when it is there. With `part` it first says what an earlier try has left,
 * as lines of `wc -c`, and then `CQ1 go`. `packed`: the stream is gzip.
 */
export function unpackCommand(
  name: string,
  into: string,
  { part, packed }: { readonly part: boolean; readonly packed: boolean },
): string {
  const words = [name, into, part ? 'part' : 'whole', packed ? 'z' : '-'].join(' ');
  return `exec sh -c 'exec sh "$HOME/.cluster-queue/agent/${AGENT_ID}.sh" unpack ${words}'`;
}

/**
 * The command that gives files of a rank's working directory as a tar stream, after a line `CQ1 tar KILOBYTES`; the patterns
 * come on stdin, each an encoded word and a newline (see `give` in sh/files.sh).
 */
export function giveCommand(uuid: string): string {
  return `exec sh -c 'exec sh "$HOME/.cluster-queue/agent/${AGENT_ID}.sh" give ${uuid}'`;
}

/** A node that lacks a snapshot. */
export interface SnapshotGap {
  /** The same for all nodes that share a home. */
  readonly home: string;
  /** An earlier try has left some of it. */
  readonly part: boolean;
  /** Those of the other snapshots that the node has, in the order in which they were named. */
  readonly bases: readonly string[];
}

// A shell that sets up conda from a slow home takes many seconds; one whose home hangs would be waited for without end.
const PATIENCE_MS = 60_000;

const CLOSED = 'the node closed the session';
const ENDED_EARLY = `${CLOSED} before it began; when it does so each time, look for exit and exec in ~/.bashrc there`;

function silence(ms: number): string {
  return `the login worked, but no shell began within ${ms / 1000} s: does its home hang (NFS), or does ~/.bashrc there read its input or start another program?`;
}

// So many answers are acted on in one turn, so that what is done about them shares a message and an fsync.
const HEEDED_AT_ONCE = 16;

function bootstrap(): string {
  const dir = '"$HOME/.cluster-queue/agent"';
  const file = `"$HOME/.cluster-queue/agent/${AGENT_ID}.sh"`;
  return [
    // What the login has is the jobs' again.
    'CQ_UMASK=$(umask)',
    'export CQ_UMASK',
    'umask 077',
    `if [ -s ${file} ]; then printf '\\nCQ1 have\\n'`,
    `else printf '\\nCQ1 need\\n'; IFS= read -r y; { mkdir -p ${dir} && printf %b "$y" >${file}.$$ && mv ${file}.$$ ${file}; } 2>&1 || { printf '\\nCQ1 fail cannot write to %s\\n' ${dir}; exit 1; }`,
    `fi`,
    `exec sh ${file} session`,
  ]
    .join('; ')
    .replaceAll('; else', '\nelse')
    .replaceAll('\n', '; ');
}

/** A live agent session on one node: requests with answers, pushed events, and followed logs, all on one channel. */
export class AgentSession {
  private readonly waiting = new Map<string, Waiting>();
  private readonly follows = new Map<number, LogSink>();
  /** Those to be asked for in the next message, by their grace in seconds. */
  private readonly cancels = new Map<
    number,
    { readonly uuids: string[]; readonly answer: Promise<Answer> }
  >();
  /** Those that go with the next message, in order. */
  private readonly requests: string[] = [];
  private readonly reader: WireReader;
  private heeds = 0;
  private nextId = 1;
  private nextSlot = 1;
  private closedBy: Error | undefined;
  private stderrTail = '';
  /** Called for each event the node pushes. */
  onEvent: (event: NodeEvent) => void = () => undefined;
  /** Called once, when the session is over. */
  onClose: (reason: Error) => void = () => undefined;
  /** The node's name for itself, and its boot; known once open. */
  node = '';
  boot = '';
  /** Names the home, which several nodes may share. */
  home = '';
  private greeting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  private noise: string[] = [];

  private constructor(private readonly channel: AgentChannel) {
    this.reader = new WireReader({
      line: (text) => this.line(text),
      data: (slot, offset, bytes) => this.follows.get(slot)?.data(offset, bytes),
    });
    const failed = (error: unknown): void =>
      this.close(error instanceof Error ? error : new ProtocolError(String(error)));
    channel.stdout.on('data', (chunk: Buffer) => {
      try {
        const pending = this.reader.push(chunk);
        if (!pending) {
          channel.letGo?.(chunk);
          return;
        }
        channel.stdout.pause();
        const taken = (): void => {
          channel.letGo?.(chunk);
          channel.stdout.resume();
        };
        pending.then(taken, failed);
      } catch (error) {
        failed(error);
      }
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      this.stderrTail = (this.stderrTail + chunk.toString('utf8')).slice(-2000);
    });
    const closed = (): void => this.close(new SessionClosedError(this.greeting ? ENDED_EARLY : CLOSED));
    channel.stdout.on('end', closed);
    channel.stdout.on('close', closed);
    for (const stream of [channel.stdin, channel.stdout, channel.stderr]) {
      stream.on('error', (error: Error) => this.close(error));
    }
  }

  /**
   * Speaks the bootstrap on a channel that runs SESSION_COMMAND, sends the agent when the node lacks this version,
   * and resolves when the session is ready.
   * @throws AgentError `write` when the node's home cannot be written, `shell` when no agent answers; SessionClosedError
   * when none has after so long
   */
  static async open(
    channel: AgentChannel,
    signal?: AbortSignal,
    patienceMs = PATIENCE_MS,
  ): Promise<AgentSession> {
    const session = new AgentSession(channel);
    const timer = setTimeout(() => session.close(new SessionClosedError(silence(patienceMs))), patienceMs);
    const abort = (): void => session.close(new SessionClosedError('given up'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        session.greeting = { resolve, reject };
        if (signal?.aborted) abort();
        else channel.stdin.write(`${bootstrap()}\n`);
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
    return session;
  }

  /** Starts a rank, or learns what the first start of the same UUID came to. @throws AgentError `write` */
  async start(launch: RankLaunch): Promise<NodeJobState | { state: 'started' }> {
    const { words } = await this.ask(
      'start',
      launch.uuid,
      String(launch.graceS),
      launch.hold ? 'hold' : 'run',
      launch.leases.join(',') || '-',
      launch.snapshot ?? '-',
      encodeWord(launch.env),
      encodeWord(launch.run),
      String(launch.timeoutS ?? '-'),
      String(launch.retries ?? 0),
      `${launch.use.cpus}:${launch.use.kib}`,
      launch.use.devices.join(',') || '-',
      String(launch.use.alternative),
      String(launch.use.units),
    );
    return words[0] === 'started' ? { state: 'started' } : parseJobState(words);
  }

  /** Ends the earlier sessions of this owner: nothing that they still carry comes after this. */
  async own(owner: string): Promise<void> {
    await this.ask('own', encodeWord(owner));
  }

  /** Puts a job into the node's own queue, or learns what became of it since it was. @throws AgentError `write` */
  async stage(launch: StagedLaunch): Promise<NodeJobState | { state: 'staged' }> {
    const { words } = await this.ask(
      'stage',
      launch.name,
      String(launch.graceS),
      launch.snapshot ?? '-',
      String(launch.timeoutS ?? '-'),
      String(launch.retries ?? 0),
      encodeWord(launch.env),
      encodeWord(launch.run),
      encodeWord(launch.want),
      launch.after.length === 0 ? '-' : encodeWord(launch.after.map((uuid) => `${uuid}\n`).join('')),
    );
    return words[0] === 'staged' ? { state: 'staged' } : parseJobState(words);
  }

  /**
   * Takes staged jobs back by name, each whole or not at all; says by UUID what became of each. A name that the node does
   * not have is looked for by its UUID.
   */
  async recall(names: readonly string[]): Promise<Map<string, Recalled>> {
    if (names.length === 0) return new Map();
    const { lines } = await this.ask('recall', ...names);
    return new Map(
      lines.map((line): [string, Recalled] => {
        const [uuid = '', ...words] = line.split(' ');
        return [uuid, words[0] === 'recalled' ? { state: 'recalled' } : parseJobState(words)];
      }),
    );
  }

  /** Gives staged jobs other names, and so other places; those that are not staged any more are passed over. */
  async rekey(names: readonly (readonly [from: string, to: string])[]): Promise<void> {
    if (names.length > 0) await this.ask('rekey', ...names.flat());
  }

  /** The names of all jobs that are staged in the node's home. */
  async staged(): Promise<string[]> {
    return (await this.ask('staged')).lines;
  }

  /** Lets the node start what is staged and fits. */
  async kick(): Promise<void> {
    await this.ask('kick');
  }

  /** Lets a gang's rank that is ready for this try begin it. */
  async go(uuid: string, number: number): Promise<void> {
    await this.ask('go', uuid, String(number));
  }

  /** Ends what a gang's rank runs, if it is at an earlier try than this, and lets it get ready for this one. */
  async again(uuid: string, number: number): Promise<void> {
    await this.ask('again', uuid, String(number));
  }

  /**
   * Begins to end a job's process tree; the end itself comes as an event. Returns the state when there is nothing to do. All
   * that are asked for in one go are one message, and the node ends them in one go.
   */
  async cancel(uuid: string, graceS: number): Promise<NodeJobState | { state: 'cancelling' }> {
    let together = this.cancels.get(graceS);
    if (!together) {
      const uuids: string[] = [];
      const answer = Promise.resolve().then(() => {
        this.cancels.delete(graceS);
        return this.ask('cancel', String(graceS), ...uuids);
      });
      together = { uuids, answer };
      this.cancels.set(graceS, together);
    }
    const index = together.uuids.push(uuid) - 1;
    const words = (await together.answer).lines[index]?.split(' ').slice(1) ?? ['unknown'];
    return words[0] === 'cancelling' ? { state: 'cancelling' } : parseJobState(words);
  }

  /** What the node knows of these jobs; one round trip for any number. */
  async query(uuids: readonly string[]): Promise<Map<string, NodeJobState>> {
    if (uuids.length === 0) return new Map();
    const { lines } = await this.ask('query', ...uuids);
    return new Map(
      lines.map((line) => {
        const [uuid = '', ...words] = line.split(' ');
        return [uuid, parseJobState(words)];
      }),
    );
  }

  /** Whether a snapshot of this name lies unpacked on the node; if not, what of `others` does. */
  async hasSnapshot(name: string, others: readonly string[] = []): Promise<'yes' | SnapshotGap> {
    const { words } = await this.ask('has', name, ...others);
    if (words[0] === 'yes') return 'yes';
    const [, home = '', part, ...bases] = words;
    return { home, part: part === 'part', bases };
  }

  /** Copies an unpacked snapshot to a path on the node. @throws AgentError `write` with the node's words */
  async place(name: string, destination: string): Promise<void> {
    await this.ask('place', name, encodeWord(destination));
  }

  /** Says that these jobs' ends and logs are known and kept: what the node has of them may go after a while. */
  async told(uuids: readonly string[]): Promise<void> {
    if (uuids.length > 0) await this.ask('told', ...uuids);
  }

  /**
   * Has the node remove, in the background and once a day, what is not needed any more: folders of jobs so many days after
   * `told`.
   */
  async sweep(days: number): Promise<void> {
    await this.ask('sweep', String(days));
  }

  /** Bounds what the node keeps of each log, for tries that begin from now on. `bytes`: 0 for no bound. */
  async limitLogs(bytes: number): Promise<void> {
    await this.ask('limit', String(bytes));
  }

  /** Removes what the node keeps of jobs that have ended. */
  async forget(uuids: readonly string[]): Promise<void> {
    if (uuids.length > 0) await this.ask('forget', ...uuids);
  }

  /** When this session ends, the agent takes everything of its own along that no job and no other session needs. */
  async leave(): Promise<void> {
    await this.ask('leave');
  }

  /** Looks at the node: cpus, memory, GPUs, who else uses them. May take seconds (`nvidia-smi`). */
  async probe(): Promise<NodeFacts> {
    return parseFacts((await this.ask('probe')).lines);
  }

  /** A round trip. */
  async ping(): Promise<void> {
    await this.ask('ping');
  }

  /**
   * Has the node resume what is staged there when its machine has started, by the user's crontab or a user unit of systemd;
   * or not any more: `off` for whoever asked for it, `leave` unless another cluster has. @throws AgentError `boot`
   */
  async atBoot(want: 'on' | 'off' | 'leave'): Promise<AtBoot> {
    const { words } = await this.ask('at_boot', want);
    return atBoot(words);
  }

  /** Streams a job's log from a byte offset, and goes on until it ends or `stop` is called. */
  follow(uuid: string, offset: number, sink: LogSink): { stop(): void } {
    const slot = this.nextSlot++;
    this.follows.set(slot, sink);
    this.ask('follow', String(slot), uuid, String(offset)).catch(() => undefined);
    return {
      stop: () => {
        if (!this.follows.delete(slot)) return;
        this.ask('unfollow', String(slot)).catch(() => undefined);
      },
    };
  }

  /** Ends the session; jobs go on. */
  close(reason: Error = new SessionClosedError('the session was closed')): void {
    if (this.closedBy) return;
    this.closedBy = reason;
    this.send();
    this.channel.stdin.end();
    this.greeting?.reject(this.explain(reason));
    this.greeting = undefined;
    for (const { reject } of this.waiting.values()) reject(new SessionClosedError(reason.message));
    this.waiting.clear();
    this.follows.clear();
    this.onClose(reason);
  }

  private ask(verb: string, ...words: string[]): Promise<Answer> {
    if (this.closedBy) return Promise.reject(new SessionClosedError(this.closedBy.message));
    const id = String(this.nextId++);
    this.requests.push(`${[id, verb, ...words].join(' ')}\n`);
    if (this.requests.length === 1) setImmediate(() => this.send());
    return new Promise((resolve, reject) => this.waiting.set(id, { lines: [], resolve, reject }));
  }

  /** What is asked for in one turn is one message: each would cost a packet of its own, to be enciphered and read. */
  private send(): void {
    if (this.requests.length > 0) this.channel.stdin.write(this.requests.splice(0).join(''));
  }

  private line(text: string): void | Promise<void> {
    const words = text.split(' ');
    if (this.greeting) {
      this.greet(text, words);
      return words[1] === 'ready' ? this.heeded() : undefined;
    }
    const [tag, id = ''] = words;
    if (tag === '+') {
      this.waiting.get(id)?.lines.push(words.slice(2).join(' '));
    } else if (tag === '=') {
      this.answer(id, words);
      return this.heeded();
    } else if (tag === 'E') {
      const slot = Number(id);
      const sink = this.follows.get(slot);
      this.follows.delete(slot);
      sink?.end(Number(words[2]));
    } else {
      const event = parseEvent(words);
      if (event) this.onEvent(event);
    }
  }

  /**
   * Resolves when whoever waited for an answer has acted on it: what the node says after that is about a world in which they
   * have. An event that came sooner would find a job that nobody knows yet to be the node's.
   */
  private heeded(): Promise<void> {
    this.heeds += 1;
    // Ticks come when no promise has anything left to do, but before all that is not this session's.
    return this.heeds % HEEDED_AT_ONCE === 0
      ? new Promise((resolve) => setImmediate(resolve))
      : Promise.resolve().then(() => new Promise((resolve) => process.nextTick(resolve)));
  }

  private answer(id: string, words: string[]): void {
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    this.waiting.delete(id);
    if (words[2] === 'ok') waiting.resolve({ words: words.slice(3), lines: waiting.lines });
    else waiting.reject(new AgentError(words[3] ?? 'protocol', words.slice(4).join(' ')));
  }

  private greet(text: string, words: string[]): void {
    if (words[0] !== 'CQ1') {
      // A login shell's banner, or its error message.
      if (text.trim() !== '') this.noise = [...this.noise.slice(-9), text];
      return;
    }
    if (words[1] === 'need') {
      this.noise = [];
      this.channel.stdin.write(`${encodeWord(AGENT_TEXT)}\n`);
    } else if (words[1] === 'fail') {
      const words_ = [...this.noise, words.slice(2).join(' ')].join('; ');
      this.close(new AgentError('write', words_));
    } else if (words[1] === 'ready') {
      this.boot = words[2] ?? '';
      this.node = words[3] ?? '';
      this.home = words[4] ?? '';
      const greeting = this.greeting;
      this.greeting = undefined;
      greeting?.resolve();
    }
  }

  private explain(reason: Error): Error {
    if (reason instanceof AgentError) return reason;
    const said = [...this.noise, this.stderrTail.trim()].filter((part) => part !== '').join('; ');
    if (said === '') return reason;
    return new AgentError('shell', `${reason.message}; it said: ${said}`);
  }
}
