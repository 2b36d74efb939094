import type { SshContext } from './context';
import { NeedsOpenSsh } from './explain';
import { Ssh2Transport } from './ssh2';
import { SystemSsh } from './systemSsh';
import type { Transport } from './transport';

/**
 * Connects to a host by ssh2, or by the system's `ssh` where only that can log in (hardware keys, certificates,
 * GSSAPI); `kind` of the result says which. `destination` is how the user calls the node; it stands in every message.
 * @throws ConnectError
 */
async function connect(destination: string, context: SshContext, signal?: AbortSignal): Promise<Transport> {
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

/** Connections over SSH. */
export const SshTransport = { connect };
