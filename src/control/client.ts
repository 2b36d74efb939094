import { connect, type Socket } from 'node:net';
import {
  createMessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
  type MessageConnection,
} from 'vscode-jsonrpc/node';
import type { ClusterDefinition } from '../cluster';
import { Emitter, QueueError, type ClusterView, type JobView, type QueueChange } from '../engine';
import { LostError, type Backend } from './backend';
import { Cache } from './cache';
import type { Endpoint } from './endpoint';
import {
  PROTOCOL,
  REFUSED,
  type Answer,
  type CallName,
  type Grown,
  type Hello,
  type Outcome,
  type Params,
  type Question,
  type Result,
  type Welcome,
  type WireChange,
} from './protocol';
import { Answers } from './questions';
import type { QueueOptions } from './queue';
import { fromWire } from './wireErrors';

/** The engine of another process: its state kept here by what it pushes, and calls sent to it. */
export class Client implements Backend {
  readonly role = 'client';
  private readonly cache = new Cache();
  private readonly change = new Emitter<QueueChange>();
  private readonly trouble = new Emitter<Error>();
  private readonly follows = new Map<number, (to: Omit<Grown, 'log'>) => void>();
  private readonly asked = new Map<string, number>();
  private logs = 0;
  private over = false;
  private silent = false;
  private lose: () => void = () => undefined;
  readonly onDidChange = this.change.on;
  readonly onTrouble = this.trouble.on;
  /** Resolves when the other process is gone. */
  readonly lost = new Promise<void>((resolve) => (this.lose = resolve));

  private constructor(
    private readonly socket: Socket,
    private readonly connection: MessageConnection,
  ) {}

  /**
   * Connects to the process that published the endpoint, and knows all that it knows when this resolves. Undefined when
   * nobody listens there (any more).
   * @throws QueueError `version` when it is of another version, `unreachable` when it has not answered after so long;
   * StoreError when it could not open the store
   */
  static async connect(
    endpoint: Endpoint,
    options: QueueOptions,
    patienceMs: number,
  ): Promise<Client | undefined> {
    const socket = await open(endpoint.address);
    if (!socket) return undefined;
    const connection = createMessageConnection(
      new StreamMessageReader(socket),
      new StreamMessageWriter(socket),
    );
    const client = new Client(socket, connection);
    client.listen(options);
    // A process that is suspended takes connections all the same.
    const timer = setTimeout(() => {
      client.silent = true;
      client.end();
    }, patienceMs);
    try {
      await client.hello({
        protocol: PROTOCOL,
        version: options.version,
        pid: process.pid,
        token: endpoint.token,
        answers: options.prompter !== undefined,
      });
      return client;
    } catch (error) {
      client.end();
      if (client.silent) throw unanswered(endpoint.pid);
      if (error instanceof LostError) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  views(): ClusterView[] {
    return this.cache.views();
  }

  view(name: string): ClusterView | undefined {
    return this.cache.view(name);
  }

  definition(name: string): ClusterDefinition {
    return this.cache.definition(name);
  }

  jobs(cluster: string, limit: number): JobView[] {
    const window = this.cache.window(cluster);
    if (!window.covers(limit) && (this.asked.get(cluster) ?? 0) < limit) {
      this.asked.set(cluster, limit);
      this.call('widen', { cluster, limit }).then(
        () => this.change.fire({ clusters: new Set([cluster]), jobs: [] }),
        () => this.asked.delete(cluster),
      );
    }
    return window.newest(limit);
  }

  job(cluster: string, id: number): JobView {
    return this.cache.job(cluster, id);
  }

  get busy(): boolean {
    return this.views().some(({ pending, running }) => pending + running > 0);
  }

  async call<M extends CallName>(method: M, params: Params<M>): Promise<Result<M>> {
    const result = await this.request<Result<M>>(method, params);
    this.cache.learn(method, params, result);
    return result;
  }

  follow(cluster: string, id: number, grown: (to: Omit<Grown, 'log'>) => void): () => void {
    const log = ++this.logs;
    this.follows.set(log, grown);
    // A refusal can only mean that the job is gone from the store: then its file is all there will be.
    this.request('follow', { log, cluster, id }).catch((error: unknown) => {
      if (!(error instanceof LostError)) grown({ size: 0, ended: true });
    });
    return () => {
      this.follows.delete(log);
      if (!this.over) this.connection.sendNotification('unfollow', { log }).catch(() => undefined);
    };
  }

  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  private listen(options: QueueOptions): void {
    const { connection } = this;
    connection.onNotification('change', (change: WireChange) => {
      this.change.fire(this.cache.apply(change));
    });
    connection.onNotification('trouble', ({ message }: { message: string }) =>
      this.trouble.fire(new Error(message)),
    );
    connection.onNotification('grown', ({ log, ...to }: Grown) => this.follows.get(log)?.(to));
    const answers = new Answers(options.prompter);
    connection.onRequest('question', (question: Question): Promise<Answer> => answers.answer(question));
    connection.onNotification('outcome', (outcome: Outcome) => answers.heard(outcome));
    connection.onClose(() => this.end());
    connection.onError(() => this.end());
    this.socket.on('error', () => this.end());
    connection.listen();
  }

  private async hello(hello: Hello): Promise<void> {
    const { state } = await this.request<Welcome>('hello', hello);
    this.cache.load(state);
  }

  private async request<R>(method: string, params: object): Promise<R> {
    if (this.over) throw new LostError();
    try {
      return await this.connection.sendRequest<R>(method, params);
    } catch (error) {
      // Whatever else fails, fails because the connection does.
      if (error instanceof ResponseError && error.code === REFUSED) throw fromWire(error);
      this.end();
      throw new LostError();
    }
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.connection.dispose();
    this.socket.destroy();
    this.lose();
  }
}

/** A process has the queue, and says nothing. */
export function unanswered(pid: number): QueueError {
  return new QueueError(
    'unreachable',
    `process ${pid} has the queue but does not answer: if it is suspended (Ctrl-Z), let it go on with fg or kill -CONT ${pid}; else end it, or wait until it does`,
  );
}

function open(address: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
