import type { AgentSession } from '../node';

/** What is told that a client is there. */
export interface PresenceHost {
  /** The sessions of nodes that can be talked to. */
  sessions(): Iterable<Pick<AgentSession, 'ping'>>;
  /** Whether something on nodes is reserved for a client that is on. */
  isReserved(): boolean;
}

// A node takes a client that was silent for 45 s for gone (client_here in sh/walk.sh).
const HEARD_MS = 15_000;

/** Has nodes hear of this client as long as something is reserved for it there: of one that is silent they take it for gone. */
export class Presence {
  /** When nodes were last told; ms of `performance.now`. */
  private toldAt = Number.NEGATIVE_INFINITY;
  private readonly timer = setInterval(() => {
    if (this.host.isReserved()) this.tell();
  }, HEARD_MS);

  constructor(private readonly host: PresenceHost) {
    this.timer.unref();
  }

  /** Before something is reserved for us: a node that has not heard of a client for long would start it. */
  renew(): void {
    if (performance.now() - this.toldAt > HEARD_MS / 3) this.tell();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private tell(): void {
    this.toldAt = performance.now();
    for (const session of this.host.sessions()) session.ping().catch(() => undefined);
  }
}
