import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import {
  SshTransport,
  type Given,
  type Prompter,
  type SshContext,
  type Transport,
} from '../../src/transport';
import { TestNodes, type TestNode } from '../support/sshd';

/** A person who never has to be asked: every question is a failure of the test, unless overridden. */
export function person(answers: Partial<Prompter> = {}): Prompter {
  const never = (what: string) => (): never => {
    throw new Error(`asked for ${what}`);
  };
  return {
    passphrase: never('a passphrase'),
    password: never('a password'),
    answer: never('an answer'),
    trustHost: never('trust'),
    ...answers,
  };
}

/** What a person types: nothing, where they decline; `used` hears what came of it. */
export function typed(text: string | undefined, used?: Given['used']): Given | undefined {
  return text === undefined ? undefined : { text, ...(used && { used }) };
}

/** Real sshd nodes, and the connections a test made to them. */
export class Rig {
  readonly nodes = new TestNodes();
  private readonly open: Transport[] = [];
  private readonly closing: (() => void)[] = [];

  async connect(destination: string, context: Partial<SshContext> = {}): Promise<Transport> {
    const transport = await SshTransport.connect(destination, {
      configFile: this.nodes.configFile,
      prompter: undefined,
      ...context,
    });
    this.open.push(transport);
    return transport;
  }

  /** What a command prints on the node, with its exit code when that is not 0. */
  async output(transport: Transport, command: string): Promise<string> {
    const channel = await transport.exec(command);
    let text = '';
    channel.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    channel.stderr.resume();
    channel.stdin.end();
    const { code } = await channel.exit;
    return code === 0 ? text : `${text}[exit ${String(code)}]`;
  }

  /** Connects, asks the node who it is, and closes. */
  async whoIs(destination: string, context: Partial<SshContext> = {}): Promise<string> {
    const transport = await this.connect(destination, context);
    try {
      return await this.output(transport, 'printf %s "$CLUSTER_QUEUE_NODE_ID"');
    } finally {
      transport.close();
    }
  }

  /** A new key; returns its file. `args` go to ssh-keygen. */
  key(name: string, ...args: string[]): string {
    const file = path.join(this.nodes.dir, name);
    execFileSync('ssh-keygen', ['-q', '-f', file, ...args]);
    return file;
  }

  /** The file of keys that the node lets in. */
  authorized(node: TestNode): string {
    return path.join(this.nodes.dir, node.name, 'authorized_keys');
  }

  authorize(node: TestNode, ...keys: string[]): void {
    writeFileSync(this.authorized(node), keys.map((key) => readFileSync(`${key}.pub`, 'utf8')).join(''));
  }

  /** The public host key of a node as known_hosts has it: `type base64`. */
  hostKey(node: TestNode, file = 'host_key'): string {
    const text = readFileSync(path.join(this.nodes.dir, node.name, `${file}.pub`), 'utf8');
    return text.split(' ').slice(0, 2).join(' ');
  }

  /** Lines of an ssh config that lead to the node. */
  at(node: TestNode): string {
    return `HostName ${node.address}\n  Port ${node.port}`;
  }

  /** An ssh-agent with these keys; returns its socket. */
  async agent(...keys: string[]): Promise<string> {
    const socket = path.join(this.nodes.dir, `agent-${this.closing.length}`);
    const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    this.closing.push(() => child.kill());
    await new Promise((resolve) => child.stdout.once('data', resolve));
    for (const key of keys)
      execFileSync('ssh-add', ['-q', key], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'ignore',
      });
    return socket;
  }

  /** A TCP server on loopback that does as told with each connection. */
  async server(serve: (socket: net.Socket) => void): Promise<number> {
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      serve(socket);
    });
    this.closing.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    return typeof bound === 'object' && bound ? bound.port : 0;
  }

  onClose(close: () => void): void {
    this.closing.push(close);
  }

  async close(): Promise<void> {
    for (const transport of this.open) transport.close();
    for (const close of this.closing) close();
    await this.nodes.close();
  }
}
