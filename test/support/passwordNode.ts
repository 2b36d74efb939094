import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Server, type Connection } from 'ssh2';
import type { TestNodes } from './sshd';

/** An SSH server on loopback that lets people in by password and runs their commands: what sshd does only with PAM. */
export interface PasswordNode {
  readonly address: string;
  readonly port: number;
  readonly home: string;
  /** What lets in from now on. */
  password: string;
  /** The passwords that were tried, in order. */
  readonly tried: string[];
  /** Breaks every connection. */
  disconnect(): void;
  /** Resolves when so many were let in. */
  entered(times: number): Promise<void>;
  close(): void;
}

/** Starts one; it is in the nodes' known_hosts and not in their ssh config. */
export async function passwordNode(
  nodes: TestNodes,
  user: string,
  password: string,
  asks: 'password' | 'keyboard-interactive' = 'password',
): Promise<PasswordNode> {
  const dir = path.join(nodes.dir, `password-${user}`);
  const home = path.join(dir, 'home');
  mkdirSync(home, { recursive: true });
  const hostKey = path.join(dir, 'host_key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
  const address = '127.0.0.1';
  const tried: string[] = [];
  const connections = new Set<Connection>();
  let entries = 0;
  const waiting = new Set<() => void>();
  const breaking = {
    disconnect: (): void => {
      for (const connection of connections) connection.end();
    },
    entered: (times: number): Promise<void> =>
      new Promise((resolve) => {
        const check = (): void => {
          if (entries < times) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    close: (): void => undefined,
  };
  const node = { address, port: 0, home, password, tried, ...breaking };
  const server = new Server({ hostKeys: [readFileSync(hostKey)] }, (connection) => {
    connections.add(connection);
    connection.on('error', () => undefined);
    connection.on('close', () => connections.delete(connection));
    connection.on('ready', () => {
      entries += 1;
      for (const check of [...waiting]) check();
    });
    connection.on('authentication', (context) => {
      const judge = (given: string | undefined): void => {
        tried.push(given ?? '');
        if (context.username === user && given === node.password) context.accept();
        else context.reject([asks]);
      };
      if (context.method === 'password' && asks === 'password') judge(context.password);
      else if (context.method === 'keyboard-interactive' && asks === 'keyboard-interactive')
        context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => judge(answers[0]));
      else context.reject([asks]);
    });
    connection.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => {
        const channel = acceptExec();
        const child = spawn('sh', ['-c', command], {
          env: {
            ...process.env,
            HOME: home,
            CLUSTER_QUEUE_NODE_ID: `password-${user}`,
            CLUSTER_QUEUE_LEASES: path.join(dir, 'leases'),
          },
        });
        channel.pipe(child.stdin);
        child.stdin.on('error', () => undefined);
        child.stdout.pipe(channel, { end: false });
        child.stderr.pipe(channel.stderr, { end: false });
        child.on('close', (code) => {
          channel.exit(code ?? 1);
          channel.end();
        });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const bound = server.address();
  node.port = typeof bound === 'object' && bound ? bound.port : 0;
  const key = readFileSync(`${hostKey}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
  appendFileSync(nodes.knownHosts, `[${address}]:${node.port} ${key}\n`);
  node.close = () => {
    node.disconnect();
    server.close();
  };
  return node;
}
