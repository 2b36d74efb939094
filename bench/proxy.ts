import net from 'node:net';

/** A TCP proxy that holds every byte back for half a round trip, counts what passes, and can cut all connections. */
export class DelayingProxy {
  chunks = 0;
  private readonly sockets = new Set<net.Socket>();
  private readonly server: net.Server;

  private constructor(target: { address: string; port: number }, halfMs: number) {
    this.server = net.createServer((client) => {
      const onward = net.connect(target.port, target.address);
      this.join(client, onward, halfMs);
      this.join(onward, client, halfMs);
    });
  }

  /** `roundTripMs` is added to each round trip. */
  static async open(target: { address: string; port: number }, roundTripMs: number): Promise<DelayingProxy> {
    const proxy = new DelayingProxy(target, roundTripMs / 2);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const bound = this.server.address();
    return typeof bound === 'object' && bound ? bound.port : 0;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.server.close();
  }

  private join(from: net.Socket, to: net.Socket, halfMs: number): void {
    this.sockets.add(from);
    from.setNoDelay(true);
    const later = (act: () => void): unknown => (halfMs === 0 ? act() : setTimeout(act, halfMs));
    from.on('data', (bytes) => {
      this.chunks++;
      later(() => to.writable && to.write(bytes));
    });
    from.on('close', () => {
      this.sockets.delete(from);
      later(() => to.destroy());
    });
    from.on('error', () => from.destroy());
  }
}
