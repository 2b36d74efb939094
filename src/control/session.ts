import type { Socket } from 'node:net';
import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
  type MessageConnection,
} from 'vscode-jsonrpc/node';
import { QueueError, type Engine } from '../engine';
import type { CallTable } from './calls';
import type { Endpoint } from './endpoint';
import { followMirror } from './followMirror';
import {
  CALL_NAMES,
  PROTOCOL,
  type Answer,
  type CallName,
  type Follow,
  type Grown,
  type Hello,
  type Params,
  type Question,
  type WireChange,
  type Welcome,
} from './protocol';
import type { Publisher } from './publisher';
import { RemotePerson, type Questions } from './questions';
import { toWire } from './wireErrors';

/** An engine that is open, with all that serves it. */
export interface Served {
  readonly engine: Engine;
  readonly publisher: Publisher;
  readonly calls: CallTable;
  readonly questions: Questions;
}

// A client that does not read (a stopped process) is let go before its messages fill the memory; it can come back.
const MOST_UNREAD_BYTES = 64 << 20;

// How long a client that does not read may keep its end open after ours was closed.
const LINGER_MS = 200;

/** One client of the engine in this process. */
export class Session {
  private readonly connection: MessageConnection;
  private readonly follows = new Map<number, () => void>();
  private readonly person: RemotePerson;
  private removePerson: (() => void) | undefined;
  /** Clusters that the client is launching. */
  private readonly launching = new Set<string>();
  private welcomed = false;
  private over = false;

  constructor(
    private readonly socket: Socket,
    private readonly endpoint: Endpoint,
    private readonly served: Promise<Served>,
    private readonly ended: () => void,
  ) {
    // Not the library's socket classes: their dispose drops what is not written yet.
    this.connection = createMessageConnection(
      new StreamMessageReader(socket),
      new StreamMessageWriter(socket),
    );
    this.person = new RemotePerson(
      (question: Question) => this.connection.sendRequest<Answer>('question', question),
      (outcome) => this.tell('outcome', outcome),
    );
    this.connection.onRequest('hello', (hello: Hello) => this.hello(hello));
    for (const name of CALL_NAMES)
      this.connection.onRequest(name, (params: Params<typeof name>) => this.call(name, params));
    this.connection.onRequest('follow', (follow: Follow) => this.follow(follow));
    this.connection.onNotification('unfollow', ({ log }: Pick<Follow, 'log'>) => this.unfollow(log));
    this.connection.onClose(() => this.left());
    this.connection.onError(() => this.left());
    socket.on('error', () => this.left());
    this.connection.listen();
  }

  /** True once the client has a snapshot, and so must get every change. */
  get listens(): boolean {
    return this.welcomed && !this.over;
  }

  change(change: WireChange): void {
    this.tell('change', change);
  }

  trouble(error: Error): void {
    this.tell('trouble', { message: error.message });
  }

  /** Ends the connection, after what was written has gone out. */
  close(): void {
    if (this.over) return;
    this.over = true;
    for (const stop of this.follows.values()) stop();
    this.follows.clear();
    this.removePerson?.();
    this.connection.dispose();
    this.socket.end();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
    this.ended();
  }

  /** The client has gone. */
  private left(): void {
    if (this.over) return;
    const launching = [...this.launching];
    this.close();
    this.served.then(
      ({ engine }) => {
        for (const cluster of launching) engine.leaveLaunch(cluster);
      },
      () => undefined,
    );
  }

  private async hello(hello: Hello): Promise<Welcome> {
    const { version, token } = this.endpoint;
    if (hello.protocol !== PROTOCOL || hello.version !== version) {
      throw toWire(
        new QueueError(
          'version',
          `process ${process.pid} has the queue with Cluster Queue ${version}, but this is ${hello.version}: close or reload the older one`,
        ),
      );
    }
    if (hello.token !== token) {
      // It read the endpoint of the process before this one, whose socket had the same path: it will read it again.
      this.close();
      throw new QueueError('unreachable', 'the queue was opened anew meanwhile');
    }
    try {
      const { publisher, questions } = await this.served;
      if (hello.answers) this.removePerson = questions.add(this.person);
      const state = publisher.snapshot();
      this.welcomed = true;
      return { state };
    } catch (error) {
      throw toWire(error);
    }
  }

  private async call<M extends CallName>(name: M, params: Params<M>): Promise<unknown> {
    try {
      const { calls, publisher, questions } = await this.admitted();
      questions.turnTo(this.person);
      this.noteLaunch(name, params);
      const result = await calls.run(name, params);
      // Who asked sees what it did before it sees the answer.
      await publisher.settle();
      return result;
    } catch (error) {
      throw toWire(error);
    }
  }

  private noteLaunch<M extends CallName>(name: M, params: Params<M>): void {
    if (name === 'addCluster') {
      const { definition } = params as Params<'addCluster'>;
      if (definition.launch?.step) this.launching.add(definition.name);
    } else if (name === 'noteLaunch') {
      const { cluster, step } = params as Params<'noteLaunch'>;
      if (step && step.message === undefined) this.launching.add(cluster);
      else this.launching.delete(cluster);
    }
  }

  private async follow({ log, cluster, id }: Follow): Promise<null> {
    try {
      const { engine } = await this.admitted();
      const stop = followMirror(engine, cluster, id, (to) => {
        this.tell('grown', { log, ...to } satisfies Grown);
      });
      if (this.over) stop();
      else this.follows.set(log, stop);
      return null;
    } catch (error) {
      throw toWire(error);
    }
  }

  private unfollow(log: number): void {
    this.follows.get(log)?.();
    this.follows.delete(log);
  }

  private admitted(): Promise<Served> {
    if (!this.welcomed) throw new QueueError('version', 'say hello first');
    return this.served;
  }

  private tell(method: string, params: object): void {
    if (this.over) return;
    this.connection.sendNotification(method, params).catch(() => this.left());
    if (this.socket.writableLength > MOST_UNREAD_BYTES) this.socket.destroy();
  }
}
