import type { Client, ConnectConfig } from 'ssh2';
import type { SshContext } from './context';
import { droppedWords, explain, NeedsOpenSsh, withoutPerson } from './explain';
import { judgeHostKey, serverHostKeys } from './hostKeys';
import { keyringOf } from './keyring';
import type { KnownHosts } from './knownHosts';
import { openSshReason } from './openSshReason';
import { connectLimit, gaveUp, type Carrier } from './socket';
import { Authentication } from './sshAuth';
import type { SshOptions } from './sshOptions';
import { ConnectError } from './transport';

/** The host behind a carrier: how the user calls it, its options, and the keys it is known by. */
export interface HostToEnter {
  readonly node: string;
  readonly options: SshOptions;
  readonly known: KnownHosts;
}

/**
 * Key exchange, host key and login over a carrier. On success the client has no listeners of ours left.
 * @throws ConnectError
 */
export async function logIn(
  client: Client,
  carrier: Carrier,
  { node, options, known }: HostToEnter,
  context: SshContext,
  signal: AbortSignal | undefined,
): Promise<void> {
  const keyring = context.prompter && keyringOf(context.prompter);
  const serverHostKey = serverHostKeys(node, known, options);
  const clock = new Clock(connectLimit(options));
  let over = false;
  let failed = false;
  const finished = new Promise<void>((resolve, reject) => {
    const settle = (error: ConnectError | undefined): void => {
      if (over) return;
      over = true;
      auth.over = true;
      clock.stop();
      signal?.removeEventListener('abort', abort);
      if (!error) {
        resolve();
        return;
      }
      client.end();
      carrier.stream.destroy();
      reject(error);
    };
    const fail = (error: Error & { level?: string }): void => {
      // ssh2 goes on with the next key after it says that one of an agent did not sign.
      if (error.level === 'agent' || failed) return;
      // The first error is the cause; what follows (the closing) its consequence.
      failed = true;
      if (!over) auth.judged(false);
      void refusal(error).then(settle, () => settle(explain(error, node, options, auth.tried)));
    };
    const refusal = async (error: Error): Promise<ConnectError> => {
      const plain = explain(await withProxyWords(error, carrier), node, options, auth.tried);
      if (plain.code !== 'refused-key') return plain;
      if (context.openSsh === 'absent') return withoutPerson(plain, node, auth.unasked);
      const reason = await openSshReason(options, auth.offered);
      if (reason === undefined) return withoutPerson(plain, node, auth.unasked);
      return new NeedsOpenSsh('refused-key', node, `${plain.message} (it may want ${reason})`, false);
    };
    const abort = (): void => settle(gaveUp(node));
    const auth = new Authentication(options, node, keyring, context.login?.password, {
      asking: (active) => (active ? clock.pause() : clock.resume()),
      giveUp: (words) =>
        settle(
          new ConnectError(
            'refused-key',
            node,
            `${node} was not logged in to: ${words} (Refresh in VS Code, or cq where no window has the queue, asks again)`,
            false,
          ),
        ),
      beforeQuestions: async (offered) => {
        if (context.openSsh === 'absent') return true;
        const reason = await openSshReason(options, offered);
        if (reason === undefined) return true;
        const message = `${node} refused ${options.user} by ssh2; it may want ${reason}`;
        settle(new NeedsOpenSsh('refused-key', node, message, false));
        return false;
      },
    });
    // Called again on every rekeying, long after the login: it must leave the clock alone then.
    const verifyHost = (key: Buffer, verify: (ok: boolean) => void): void => {
      if (!over) clock.pause();
      judgeHostKey(node, key, known, options, keyring, context.openSsh)
        .catch((error: unknown) => {
          const words = `could not check the host key of ${node}: ${String(error)}`;
          return new ConnectError('unknown-host-key', node, words, false);
        })
        .then((no) => {
          clock.resume();
          if (no) settle(no);
          verify(no === undefined);
        })
        // The connection went while somebody was asked; it has been reported.
        .catch(() => undefined);
    };
    clock.start(() => {
      auth.judged(false);
      settle(
        new ConnectError(
          'timeout',
          node,
          `${node} (${options.host}:${options.port}) accepted the connection but did not finish the SSH handshake in ${clock.limitMs / 1000} s`,
          true,
        ),
      );
    });
    if (signal?.aborted === true) {
      abort();
      return;
    }
    signal?.addEventListener('abort', abort, { once: true });
    client.once('ready', () => {
      if (over) return;
      client.removeListener('error', fail);
      auth.judged(true);
      settle(undefined);
    });
    // Stays on after a failure: what ssh2 says later is of no interest, but an error without a listener throws.
    client.on('error', fail);
    client.once('close', () =>
      fail(new ConnectError('unreachable', node, droppedWords(node, options), true)),
    );
    client.connect({
      sock: carrier.stream,
      username: options.user,
      // ssh2's own clock runs on while a person types; ours stands still.
      readyTimeout: 0,
      ...keepalive(options),
      authHandler: auth.handler as NonNullable<ConnectConfig['authHandler']>,
      // Every server has no compression (RFC 4253, 6.2): what ssh2 inflates shares memory that `letGo` would take.
      algorithms: { serverHostKey, compress: ['none'] },
      hostVerifier: verifyHost,
    });
  });
  await finished;
  client.removeAllListeners('close');
}

/** What the user's ssh config asks for; a connection is watched over in any case, see `watchLife`. */
function keepalive({
  serverAliveInterval,
  serverAliveCountMax,
}: SshOptions): Pick<ConnectConfig, 'keepaliveInterval' | 'keepaliveCountMax'> {
  if (serverAliveInterval === 0) return {};
  return { keepaliveInterval: serverAliveInterval * 1000, keepaliveCountMax: serverAliveCountMax };
}

async function withProxyWords(error: Error & { level?: string }, carrier: Carrier): Promise<Error> {
  if (error.level === 'client-authentication') return error;
  const words = await carrier.lastWords();
  return words === '' ? error : Object.assign(new Error(`the ProxyCommand said: ${words}`), { level: '' });
}

/** How long the other side may take; stands still, and starts anew, while a person is asked. */
class Clock {
  private timer: NodeJS.Timeout | undefined;
  private pauses = 0;
  private ring: (() => void) | undefined;

  constructor(readonly limitMs: number) {}

  start(ring: () => void): void {
    this.ring = ring;
    this.timer = setTimeout(ring, this.limitMs);
  }

  pause(): void {
    this.pauses += 1;
    clearTimeout(this.timer);
  }

  resume(): void {
    this.pauses = Math.max(0, this.pauses - 1);
    if (this.pauses === 0 && this.ring) this.timer = setTimeout(this.ring, this.limitMs);
  }

  stop(): void {
    this.ring = undefined;
    clearTimeout(this.timer);
  }
}
