import type { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import type { SshContext } from './context';
import { throughDoor } from './doors';
import { logIn } from './handshake';
import { knownHostsOf } from './hostKeys';
import { keyringOf } from './keyring';
import { letGo } from './letGo';
import { watchLife, type LifeClock } from './lifeSigns';
import { openCarrier } from './socket';
import { bindingAvailable, Client, prepareDecipher } from './ssh2Library';
import { sshOptions, type SshOptions } from './sshOptions';
import { ConnectError, type Channel, type Transport } from './transport';

/** No chain of jump hosts is longer; one that is goes round in a circle. */
const MOST_HOPS = 8;

/** One SSH connection to one node (ssh2), through its ProxyJump hosts or ProxyCommand when the config says so. */
export class Ssh2Transport implements Transport {
  readonly kind = 'ssh2';
  onClose: (reason: Error) => void = () => undefined;
  private over = false;
  private readonly stopWatching: () => void;
  private readonly spares = new Set<Ssh2Transport>();

  private constructor(
    private readonly client: Client,
    stream: Duplex,
    life: LifeClock | undefined,
    private readonly node: string,
    private readonly below: Ssh2Transport | undefined,
    private readonly another: () => Promise<Ssh2Transport>,
  ) {
    client.on('close', () =>
      this.ended(new ConnectError('closed', node, `the connection to ${node} was closed`, true)),
    );
    client.on('error', (error) =>
      this.ended(new ConnectError('closed', node, `the connection to ${node} broke: ${error.message}`, true)),
    );
    const dead = (words: string): void =>
      this.ended(new ConnectError('closed', node, `the connection to ${node} ${words}`, true));
    this.stopWatching = watchLife(client, stream, dead, life);
    // ssh2 listens too, since before: it has dealt with what was read.
    stream.on('data', prepareDecipher);
  }

  /** @throws ConnectError */
  static connect(destination: string, context: SshContext, signal?: AbortSignal): Promise<Ssh2Transport> {
    return Ssh2Transport.hop(destination, context, signal, 0);
  }

  private static async hop(
    destination: string,
    context: SshContext,
    signal: AbortSignal | undefined,
    depth: number,
  ): Promise<Ssh2Transport> {
    if (depth > MOST_HOPS)
      throw new ConnectError(
        'config',
        destination,
        `ProxyJump of ${destination} goes round in a circle`,
        false,
      );
    const options = await sshOptions(destination, context.configFile, context.login);
    const way = { ...context, login: undefined };
    let below: Ssh2Transport | undefined;
    try {
      // A chain "a,b" is reached by going to b, which is reached through a.
      for (const jump of options.proxyJump) {
        below = below
          ? await Ssh2Transport.over(jump, await sshOptions(jump, way.configFile), way, signal, below)
          : await Ssh2Transport.hop(jump, way, signal, depth + 1);
      }
      return await Ssh2Transport.over(destination, options, context, signal, below);
    } catch (error) {
      below?.close();
      throw error;
    }
  }

  private static async over(
    node: string,
    options: SshOptions,
    context: SshContext,
    signal: AbortSignal | undefined,
    below: Ssh2Transport | undefined,
  ): Promise<Ssh2Transport> {
    // Before the carrier: what it says or how it ends while nobody listens would be lost.
    const known = await knownHostsOf(options);
    const client = new Client();
    const stream = await throughDoor(node, `${options.host}:${options.port}`, signal, async () => {
      const carrier = below
        ? { stream: await below.forward(options.host, options.port), lastWords: () => Promise.resolve('') }
        : await openCarrier(node, options, signal, context.prompter && keyringOf(context.prompter));
      try {
        await logIn(client, carrier, { node, options, known }, context, signal);
      } catch (error) {
        carrier.stream.destroy();
        throw error;
      }
      return carrier.stream;
    });
    return new Ssh2Transport(client, stream, context.life, node, below, () =>
      Ssh2Transport.connect(node, context),
    );
  }

  async exec(command: string): Promise<Channel> {
    try {
      return await this.session(command);
    } catch (error) {
      if (this.over || (error instanceof ConnectError && error.code === 'closed')) throw error;
      // MaxSessions counts the sessions of one connection: another connection has room again.
      return this.execBeside(command);
    }
  }

  close(): void {
    this.ended(new ConnectError('closed', this.node, `the connection to ${this.node} was closed`, true));
  }

  private async execBeside(command: string): Promise<Channel> {
    const spare = await this.another();
    const done = (): void => {
      this.spares.delete(spare);
      spare.close();
    };
    this.spares.add(spare);
    try {
      const channel = await spare.session(command);
      void channel.exit.then(done);
      if (this.over) done();
      return channel;
    } catch (error) {
      done();
      if (error instanceof ConnectError) throw error;
      const words = error instanceof Error ? error.message : String(error);
      throw new ConnectError(
        'closed',
        this.node,
        `${this.node} refused another session: ${words} (MaxSessions in its sshd_config?)`,
        true,
      );
    }
  }

  private session(command: string): Promise<Channel> {
    return new Promise((resolve, reject) => {
      const closed = (): ConnectError =>
        new ConnectError('closed', this.node, `the connection to ${this.node} is closed`, true);
      if (this.over) {
        reject(closed());
        return;
      }
      this.client.exec(command, (error, channel) => {
        // At once: the exit code may come in the same packet as the answer.
        if (!error) resolve(asChannel(channel));
        else reject(this.over ? closed() : error);
      });
    });
  }

  private forward(host: string, port: number): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      this.client.forwardOut('127.0.0.1', 0, host, port, (error, stream) => {
        if (error)
          reject(
            new ConnectError(
              'unreachable',
              this.node,
              `${this.node} cannot reach ${host}:${port}: ${error.message}`,
              true,
            ),
          );
        else resolve(stream);
      });
    });
  }

  private ended(reason: Error): void {
    if (this.over) return;
    this.over = true;
    this.stopWatching();
    this.client.end();
    this.client.destroy();
    for (const spare of this.spares) spare.close();
    this.below?.close();
    this.onClose(reason);
  }
}

function asChannel(channel: ClientChannel): Channel {
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    // What the compiled ciphers give lies in the chunk that they read, with the packets that follow.
    letGo: bindingAvailable ? () => undefined : letGo,
    exit: new Promise((resolve) => {
      let code: number | null = null;
      channel.once('exit', (status: number | null) => (code = status));
      channel.once('close', () => resolve({ code }));
    }),
  };
}
