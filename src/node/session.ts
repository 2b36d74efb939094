import type { Readable, Writable } from 'node:stream';
import { AGENT_ID, AGENT_TEXT } from './agentText';
import { parseFacts, type NodeFacts } from './facts';
import { WireReader } from './reader';
import {
  encodeWord,
  parseEvent,
  parseJobState,
  ProtocolError,
  type NodeEvent,
  type NodeJobState,
} from './wire';

/** A remote command's three streams; what a transport gives. */
export interface AgentChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** The node said no. `code`: `write` (its disk), `protocol`. */
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
}

/** Takes a followed log's bytes in order, each exactly once. */
export interface LogSink {
  data(offset: number, bytes: Buffer): void | Promise<void>;
  /** The log is complete and `size` bytes long. */
  end(size: number): void;
}

interface Waiting {
  readonly lines: string[];
  readonly resolve: (answer: { words: string[]; lines: string[] }) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The command that starts a session. Quoted so that bash, dash, zsh, fish and tcsh, as login shells, all pass it on
 * unchanged; the bootstrap itself comes as the first line of stdin.
 */
export const SESSION_COMMAND = `exec sh -c 'IFS= read -r x;eval "$x"'`;

/** The command that takes a workdir as tar.gz on stdin and unpacks it whole or not at all; says `CQ1 ok` at its end. */
export function unpackCommand(name: string): string {
  return `exec sh -c 'exec sh "$HOME/.cluster-queue/agent/${AGENT_ID}.sh" unpack ${name}'`;
}

function bootstrap(): string {
  const dir = '"$HOME/.cluster-queue/agent"';
  const file = `"$HOME/.cluster-queue/agent/${AGENT_ID}.sh"`;
  return [
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
  private readonly reader: WireReader;
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
  private greeting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  private noise: string[] = [];

  private constructor(private readonly channel: AgentChannel) {
    this.reader = new WireReader({
      line: (text) => this.line(text),
      data: (slot, offset, bytes) => this.follows.get(slot)?.data(offset, bytes),
    });
    channel.stdout.on('data', (chunk: Buffer) => {
      channel.stdout.pause();
      this.reader.push(chunk).then(
        () => channel.stdout.resume(),
        (error: unknown) => this.close(error instanceof Error ? error : new ProtocolError(String(error))),
      );
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      this.stderrTail = (this.stderrTail + chunk.toString('utf8')).slice(-2000);
    });
    channel.stdout.on('end', () => this.close(new SessionClosedError('the node closed the session')));
    channel.stdout.on('close', () => this.close(new SessionClosedError('the node closed the session')));
    for (const stream of [channel.stdin, channel.stdout, channel.stderr]) {
      stream.on('error', (error: Error) => this.close(error));
    }
  }

  /**
   * Speaks the bootstrap on a channel that runs SESSION_COMMAND, sends the agent when the node lacks this version,
   * and resolves when the session is ready.
   * @throws AgentError `write` when the node's home cannot be written, `shell` when no agent answers
   */
  static async open(channel: AgentChannel, signal?: AbortSignal): Promise<AgentSession> {
    const session = new AgentSession(channel);
    const abort = (): void => session.close(new SessionClosedError('given up'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        session.greeting = { resolve, reject };
        if (signal?.aborted) abort();
        else channel.stdin.write(`${bootstrap()}\n`);
      });
    } finally {
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
    );
    return words[0] === 'started' ? { state: 'started' } : parseJobState(words);
  }

  /** Lets a gang's rank that is ready begin. */
  async go(uuid: string): Promise<void> {
    await this.ask('go', uuid);
  }

  /** Begins to end a job's process tree; the end itself comes as an event. Returns the state when there is nothing to do. */
  async cancel(uuid: string, graceS: number): Promise<NodeJobState | { state: 'cancelling' }> {
    const { words } = await this.ask('cancel', uuid, String(graceS));
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

  /** Whether a workdir of this name lies unpacked on the node. */
  async hasSnapshot(name: string): Promise<boolean> {
    return (await this.ask('has', name)).words[0] === 'yes';
  }

  /** Copies an unpacked snapshot to a path on the node. @throws AgentError `write` with the node's words */
  async place(name: string, destination: string): Promise<void> {
    await this.ask('place', name, encodeWord(destination));
  }

  /** Removes what the node keeps of jobs that have ended. */
  async forget(uuids: readonly string[]): Promise<void> {
    if (uuids.length > 0) await this.ask('forget', ...uuids);
  }

  /** Looks at the node: cpus, memory, GPUs, who else uses them. May take seconds (`nvidia-smi`). */
  async probe(): Promise<NodeFacts> {
    return parseFacts((await this.ask('probe')).lines);
  }

  /** A round trip. */
  async ping(): Promise<void> {
    await this.ask('ping');
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
    this.channel.stdin.end();
    this.greeting?.reject(this.explain(reason));
    this.greeting = undefined;
    for (const { reject } of this.waiting.values()) reject(new SessionClosedError(reason.message));
    this.waiting.clear();
    this.follows.clear();
    this.onClose(reason);
  }

  private ask(verb: string, ...words: string[]): Promise<{ words: string[]; lines: string[] }> {
    if (this.closedBy) return Promise.reject(new SessionClosedError(this.closedBy.message));
    const id = String(this.nextId++);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { lines: [], resolve, reject });
      this.channel.stdin.write(`${[id, verb, ...words].join(' ')}\n`);
    });
  }

  private line(text: string): void {
    const words = text.split(' ');
    if (this.greeting) {
      this.greet(text, words);
      return;
    }
    const [tag, id = ''] = words;
    if (tag === '+') {
      this.waiting.get(id)?.lines.push(words.slice(2).join(' '));
    } else if (tag === '=') {
      this.answer(id, words);
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
