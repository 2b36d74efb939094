import { AgentSession, SESSION_COMMAND, type NodeEvent } from '../node';
import { ConnectError, type Channel, type Transport } from '../transport';

/** Whether a node can be talked to, for a person to read. */
export type LinkState =
  | { readonly state: 'idle' }
  | { readonly state: 'connecting' }
  | { readonly state: 'up' }
  /** `retryAt`: ms since 1970; absent when only the user can help. */
  | { readonly state: 'down'; readonly message: string; readonly retryAt?: number };

/** What a link tells its cluster. */
export interface LinkListener {
  /** A new session is open: reconcile. The link counts as up when this resolves. */
  opened(session: AgentSession): Promise<void>;
  event(event: NodeEvent): void;
  /** Whether a person can be asked for what a login wants. */
  canAsk(): boolean;
  /** The state changed. */
  changed(state: LinkState): void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

/** Keeps one agent session open on one node: connects when wanted, again with growing pauses when it breaks. */
export class NodeLink {
  private current: LinkState = { state: 'idle' };
  private open: { transport: Transport; session: AgentSession } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private abort: AbortController | undefined;
  /** Ends the connections beside the session's. */
  private readonly apart = new AbortController();
  private pause = FIRST_RETRY_MS;
  /** It is down for want of a person, who may be there by now. */
  private unasked = false;
  private closed = false;

  constructor(
    readonly node: string,
    /** Names this link to its node, also after a restart of this process. */
    private readonly owner: string,
    private readonly connect: (signal: AbortSignal) => Promise<Transport>,
    private readonly listener: LinkListener,
  ) {}

  get state(): LinkState {
    return this.current;
  }

  /** The open session, or undefined. */
  get session(): AgentSession | undefined {
    return this.open?.session;
  }

  /** Who carries the open session. */
  get transport(): Transport['kind'] | undefined {
    return this.open?.transport.kind;
  }

  /** Runs a command of its own beside the session. @throws ConnectError */
  async exec(command: string): Promise<Channel> {
    const open = this.open;
    if (!open) throw new ConnectError('closed', this.node, `${this.node} is not connected`, true);
    try {
      return await open.transport.exec(command);
    } catch (error) {
      if (this.open !== open) throw error;
      // The session may be all that sshd's MaxSessions allows.
      return this.execApart(command);
    }
  }

  /** Runs a command on a connection of its own. */
  private async execApart(command: string): Promise<Channel> {
    const transport = await this.connect(this.apart.signal);
    const close = (): void => transport.close();
    this.apart.signal.addEventListener('abort', close);
    const end = (): void => {
      this.apart.signal.removeEventListener('abort', close);
      close();
    };
    try {
      const channel = await transport.exec(command);
      void channel.exit.then(end);
      return channel;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Connects unless it is connected or at it; `now` also cuts a pause short and tries again what looked hopeless. */
  want(now = false): void {
    if (this.closed || this.open || this.abort) return;
    const asks = this.unasked && this.listener.canAsk();
    if (!now && !asks && this.current.state === 'down') return;
    clearTimeout(this.timer);
    if (now) this.pause = FIRST_RETRY_MS;
    void this.attempt();
  }

  /** Gives up the session because the node turned out to be unfit, and says so; tried again later. */
  fail(message: string): void {
    if (this.closed) return;
    const open = this.open;
    this.open = undefined;
    this.down(new ConnectError('closed', this.node, message, true), LAST_RETRY_MS);
    open?.transport.close();
  }

  /** Ends the session for good. Jobs go on. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.abort?.abort();
    this.apart.abort();
    const open = this.open;
    this.open = undefined;
    open?.session.close();
    open?.transport.close();
  }

  private async attempt(): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    this.set({ state: 'connecting' });
    let transport: Transport | undefined;
    try {
      transport = await this.connect(abort.signal);
      const session = await AgentSession.open(await transport.exec(SESSION_COMMAND), abort.signal);
      // Not waited for: the node takes one request after the other.
      session.own(this.owner).catch(() => undefined);
      const open = { transport, session };
      session.onEvent = (event) => this.listener.event(event);
      session.onClose = (reason) => this.broke(open, reason);
      transport.onClose = (reason) => {
        session.close(reason);
      };
      this.open = open;
      await this.listener.opened(session);
      // Whoever was told of the session may have done without the answers that will not come.
      if (this.open !== open) throw new ConnectError('closed', this.node, 'the connection broke', true);
      this.abort = undefined;
      this.pause = FIRST_RETRY_MS;
      this.set({ state: 'up' });
    } catch (error) {
      this.abort = undefined;
      this.open = undefined;
      transport?.close();
      // `fail` has said why, and when it is tried again.
      if (!this.closed && this.current.state === 'connecting') this.down(error);
    }
  }

  private broke(open: { transport: Transport; session: AgentSession }, reason: Error): void {
    if (this.open !== open) return;
    this.open = undefined;
    open.transport.close();
    // While still opening, `attempt` reports it.
    if (!this.closed && !this.abort) this.down(reason);
  }

  private down(error: unknown, pause = this.pause): void {
    const message = error instanceof Error ? error.message : String(error);
    this.unasked = error instanceof ConnectError && error.unasked;
    if (error instanceof ConnectError && !error.transient) {
      this.set({ state: 'down', message });
      return;
    }
    this.pause = Math.min(this.pause * 2, LAST_RETRY_MS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.attempt(), pause);
    this.set({ state: 'down', message, retryAt: Date.now() + pause });
  }

  private set(state: LinkState): void {
    this.current = state;
    this.listener.changed(state);
  }
}
