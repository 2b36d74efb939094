import type { Login, SshContext } from './context';
import { NeedsOpenSsh } from './explain';
import { Ssh2Transport } from './ssh2';
import { knowsHost } from './sshConfigFile';
import { destinationArgs, parseDestination } from './sshOptions';
import { SystemSsh } from './systemSsh';
import type { Transport } from './transport';

/**
 * Connects to a host by ssh2, or by the system's `ssh` where only that can log in (hardware keys, certificates,
 * GSSAPI); `kind` of the result says which. `destination` is how the user calls the node; it stands in every message.
 * @throws ConnectError
 */
async function connect(destination: string, given: SshContext, signal?: AbortSignal): Promise<Transport> {
  const context = { ...given, login: await loginOf(destination, given) };
  try {
    return await Ssh2Transport.connect(destination, context, signal);
  } catch (error) {
    if (!(error instanceof NeedsOpenSsh)) throw error;
    const system = await SystemSsh.connect(destination, context, signal).catch((failure: unknown) => {
      if (!context.prompter || signal?.aborted === true) throw failure;
      return undefined;
    });
    if (system) return system;
    // Nobody but a person can help now: a passphrase, a password, trust in a key.
    return Ssh2Transport.connect(destination, { ...context, openSsh: 'absent' }, signal);
  }
}

/** A host that the ssh config names takes user and key from there, as with SkyPilot's node pools. */
async function loginOf(destination: string, { login, configFile }: SshContext): Promise<Login | undefined> {
  if (!login || !(await knowsHost(parseDestination(destination).host, configFile))) return login;
  return login.password && { password: login.password };
}

/** The arguments with which a person's `ssh` reaches a destination as a connection of ours does. */
export async function sshArguments(
  destination: string,
  context: Pick<SshContext, 'configFile' | 'login'>,
): Promise<string[]> {
  const login = await loginOf(destination, { prompter: undefined, ...context });
  return destinationArgs(destination, context.configFile, login);
}

/** Connections over SSH. */
export const SshTransport = { connect };
