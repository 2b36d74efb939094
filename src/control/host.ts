import { createServer, type Server } from 'node:net';
import { chmod } from 'node:fs/promises';
import { Engine, type QueueChange, type Unsubscribe } from '../engine';
import type { ClusterDefinition } from '../cluster';
import type { ClusterView, JobView } from '../engine';
import type { Lock, RepairReport } from '../store';
import type { Backend } from './backend';
import { CallTable } from './calls';
import { makeEndpoint, publish, type Endpoint } from './endpoint';
import { followMirror } from './followMirror';
import type { CallName, Grown, Params, Result } from './protocol';
import { Publisher } from './publisher';
import { Questions } from './questions';
import type { QueueOptions } from './queue';
import { Session, type Served } from './session';

/** The engine in this process, served to the user's other processes. */
export class Host implements Backend {
  readonly role = 'host';
  readonly onDidChange: (listener: (change: QueueChange) => void) => Unsubscribe;
  readonly onTrouble: (listener: (error: Error) => void) => Unsubscribe;

  private closing: Promise<void> | undefined;

  private constructor(
    private readonly served: Served,
    private readonly server: ControlServer,
    private readonly lock: Lock,
    private readonly options: QueueOptions,
  ) {
    this.onDidChange = served.engine.onDidChange;
    this.onTrouble = served.engine.onTrouble;
    if (options.prompter) served.questions.add(options.prompter);
    served.engine.onTrouble((error) => {
      for (const session of server.sessions) session.trouble(error);
    });
  }

  /**
   * Opens the engine for the owner of the state folder's lock, and listens. Clients that come while it opens wait for it.
   * @throws StoreError; the lock is released then
   */
  static async open(options: QueueOptions, lock: Lock): Promise<Host> {
    let server: ControlServer | undefined;
    try {
      const endpoint = await makeEndpoint(options.home, options.version);
      server = await ControlServer.listen(endpoint);
      await publish(options.home, endpoint);
      const questions = new Questions();
      const engine = await Engine.open({ ...options, prompter: questions });
      const { sessions } = server;
      const publisher = new Publisher(
        engine,
        (change) => {
          for (const session of sessions) if (session.listens) session.change(change);
        },
        () => [...sessions].some(({ listens }) => listens),
      );
      const served = { engine, publisher, questions, calls: new CallTable(engine, publisher) };
      server.serve(served);
      return new Host(served, server, lock, options);
    } catch (error) {
      await server?.fail(error);
      await lock.release();
      throw error;
    }
  }

  /** Set when the store had to be repaired. */
  get repair(): RepairReport | undefined {
    return this.served.engine.repair;
  }

  get busy(): boolean {
    return this.served.engine.busy;
  }

  get engine(): Engine {
    return this.served.engine;
  }

  views(): ClusterView[] {
    return this.engine.views();
  }

  view(name: string): ClusterView | undefined {
    return this.engine.view(name);
  }

  definition(name: string): ClusterDefinition {
    return this.engine.definition(name);
  }

  jobs(cluster: string, limit: number): JobView[] {
    return this.engine.jobs(cluster, limit);
  }

  job(cluster: string, id: number): JobView {
    return this.engine.job(cluster, id);
  }

  call<M extends CallName>(method: M, params: Params<M>): Promise<Result<M>> {
    if (this.options.prompter) this.served.questions.turnTo(this.options.prompter);
    return this.served.calls.run(method, params);
  }

  follow(cluster: string, id: number, grown: (to: Omit<Grown, 'log'>) => void): () => void {
    return followMirror(this.engine, cluster, id, grown);
  }

  /** The next one may open the store when this resolves, and not before: so the lock goes last. */
  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async shut(): Promise<void> {
    await this.server.close();
    this.served.publisher.close();
    try {
      await this.engine.close();
    } finally {
      await this.lock.release();
    }
  }
}

/** Accepts clients. */
class ControlServer {
  readonly sessions = new Set<Session>();
  serve: (served: Served) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;
  private readonly server: Server;

  private constructor(endpoint: Endpoint) {
    const served = new Promise<Served>((resolve, reject) => {
      this.serve = resolve;
      this.reject = reject;
    });
    served.catch(() => undefined);
    this.server = createServer((socket) => {
      const session = new Session(socket, endpoint, served, () => this.sessions.delete(session));
      this.sessions.add(session);
    });
  }

  static async listen(endpoint: Endpoint): Promise<ControlServer> {
    const control = new ControlServer(endpoint);
    await new Promise<void>((resolve, reject) => {
      control.server.once('error', reject);
      control.server.listen(endpoint.address, resolve);
    });
    if (process.platform !== 'win32') await chmod(endpoint.address, 0o600);
    return control;
  }

  /** The engine could not be opened: those that wait hear why. */
  async fail(error: unknown): Promise<void> {
    this.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
    await this.close();
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const session of [...this.sessions]) session.close();
    return closed;
  }
}
