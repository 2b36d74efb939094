import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { TestNode, TestNodes } from '../support/sshd';

/**
 * What happens to a connection once `after` bytes have gone either way, or after `withinMs`:
 * `drop` ends it as a router that restarts does; `reset` as a firewall does; `stall` holds everything back for a while
 * and then goes on; `half-open` takes the node's side away while ours looks open, until the while is over; `deaf` takes our
 * side away while the node's looks open.
 */
export interface Fault {
  readonly kind: 'drop' | 'reset' | 'stall' | 'half-open' | 'deaf';
  readonly after: number;
  readonly withinMs: number;
  /** For `stall`, `half-open` and `deaf`: ms until it is over. */
  readonly forMs: number;
}

/** A TCP proxy between an engine and one node's sshd that breaks connections on purpose. */
export class FaultyProxy {
  private readonly server: net.Server;
  private readonly open = new Set<() => void>();
  private readonly sockets = new Set<net.Socket>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly rearm = new Set<() => void>();
  private freezing = false;
  /** How many connections were broken. */
  broken = 0;
  connections = 0;
  /** Bytes that came from our side. */
  bytes = 0;
  /** Says what will happen to the next connection; undefined leaves it alone. */
  plan: () => Fault | undefined = () => undefined;

  private constructor(private readonly target: { readonly host: string; readonly port: number }) {
    this.server = net.createServer({ allowHalfOpen: false }, (ours) => this.accept(ours));
  }

  /** Puts a proxy before a node; the ssh config then reaches the node through it as `alias`. */
  static async before(node: TestNode, alias: string, nodes: TestNodes): Promise<FaultyProxy> {
    const proxy = new FaultyProxy({ host: node.address, port: node.port });
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    const bound = proxy.server.address();
    if (typeof bound !== 'object' || !bound) throw new Error('the proxy has no port');
    const hostKey = readFileSync(path.join(nodes.dir, node.name, 'host_key.pub'), 'utf8');
    const known = `[127.0.0.1]:${bound.port} ${hostKey.split(' ').slice(0, 2).join(' ')}\n`;
    writeFileSync(nodes.knownHosts, known, { flag: 'a' });
    nodes.configure(`Host ${alias}\n  HostName 127.0.0.1\n  Port ${bound.port}`);
    return proxy;
  }

  /** Breaks every connection there is. */
  breakAll(): void {
    for (const end of this.open) end();
  }

  /** Holds back everything that comes from now on, also on new connections. */
  freeze(): void {
    this.freezing = true;
    for (const socket of this.sockets) socket.pause();
  }

  /** Lets go what was held back. */
  thaw(): void {
    this.freezing = false;
    for (const socket of this.sockets) socket.resume();
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.breakAll();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Says what will happen, also to the connections that there are: as if each began now. */
  arm(plan: () => Fault | undefined): void {
    this.plan = plan;
    for (const again of this.rearm) again();
  }

  private accept(ours: net.Socket): void {
    this.connections++;
    const theirs = net.connect(this.target);
    let fault: Fault | undefined;
    let passed = 0;
    let struck = false;
    const end = (): void => {
      this.open.delete(end);
      this.rearm.delete(again);
      ours.destroy();
      theirs.destroy();
    };
    this.open.add(end);
    const again = (): void => {
      passed = 0;
      arm();
    };
    this.rearm.add(again);
    const hit = (due: Fault, rest: () => void): void => {
      struck = true;
      this.broken++;
      this.strike(due, ours, theirs, end, () => {
        rest();
        // Only a stalled connection lives on; the next fault awaits it.
        struck = false;
        passed = 0;
        arm();
      });
    };
    const arm = (): void => {
      const due = (fault = this.plan());
      if (!due) return;
      this.later(due.withinMs, () => {
        if (fault === due && !struck && this.open.has(end)) hit(due, () => undefined);
      });
    };
    arm();
    const forward = (from: net.Socket, to: net.Socket): void => {
      from.setNoDelay(true);
      this.sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        const room = fault ? Math.max(0, fault.after - passed) : chunk.length;
        passed += chunk.length;
        if (from === ours) this.bytes += chunk.length;
        if (fault && !struck && passed > fault.after) {
          // The bytes up to the fault still arrive: the cut may fall inside a packet.
          if (!to.destroyed) to.write(chunk.subarray(0, room));
          hit(fault, () => {
            if (!to.destroyed) to.write(chunk.subarray(room));
          });
          return;
        }
        if (!to.destroyed && !to.write(chunk)) {
          from.pause();
          to.once('drain', () => {
            if (!this.freezing) from.resume();
          });
        }
      });
      from.on('error', () => undefined);
      // Listening for data sets it flowing.
      if (this.freezing) from.pause();
      from.on('close', () => {
        this.sockets.delete(from);
        if (!struck) end();
      });
    };
    forward(ours, theirs);
    forward(theirs, ours);
  }

  private strike(
    fault: Fault,
    ours: net.Socket,
    theirs: net.Socket,
    end: () => void,
    rest: () => void,
  ): void {
    switch (fault.kind) {
      case 'drop':
        end();
        return;
      case 'reset':
        ours.resetAndDestroy();
        theirs.resetAndDestroy();
        end();
        return;
      case 'stall':
        ours.pause();
        theirs.pause();
        this.later(fault.forMs, () => {
          rest();
          ours.resume();
          theirs.resume();
        });
        return;
      case 'half-open':
        theirs.destroy();
        this.later(fault.forMs, end);
        return;
      case 'deaf':
        ours.destroy();
        theirs.pause();
        this.later(fault.forMs, end);
        return;
    }
  }

  private later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
  }
}
