import type { Readable, Writable } from 'node:stream';

/** A command that runs on a node: its three streams. Ending stdin is how it is told to stop. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Takes back bytes that came from stdout: who got them has no more use for them. */
  letGo(bytes: Buffer): void;
  /** Resolves when the command has ended and its output was read; never rejects. */
  readonly exit: Promise<{ readonly code: number | null }>;
}

/** A connection to one node. */
export interface Transport {
  /** Who carries it: the ssh2 package, the system's `ssh`, or child processes of this machine. */
  readonly kind: 'ssh2' | 'ssh' | 'local';
  /** Runs a command by the user's login shell. @throws ConnectError */
  exec(command: string): Promise<Channel>;
  /** Called once, when the connection is over for whatever reason. */
  onClose: (reason: Error) => void;
  close(): void;
}

export type ConnectErrorCode =
  | 'unreachable'
  | 'timeout'
  | 'refused-key'
  | 'unknown-host-key'
  | 'changed-host-key'
  | 'revoked-host-key'
  | 'config'
  | 'closed';

/** Why a node could not be reached, and what its user can do. The message names the node. */
export class ConnectError extends Error {
  constructor(
    readonly code: ConnectErrorCode,
    readonly node: string,
    message: string,
    /** False when trying again without the user's doing cannot help. */
    readonly transient: boolean,
    /** A person could have helped, and nobody was there to be asked. */
    readonly unasked = false,
  ) {
    super(message);
  }
}

/** A passphrase or password that a person typed now, or keeps somewhere. */
export interface Given {
  readonly text: string;
  /**
   * Told once whether it was the right one. Where nobody can know (the connection broke before the server answered) that
   * counts as wrong, so that a wrong one is never sent twice unasked; when the attempt is given up here, it is not told.
   */
  readonly used?: (worked: boolean) => void;
}

/** What only a person can answer while a connection is made. Each resolves to undefined when they decline. */
export interface Prompter {
  /** Whether somebody is there just now; somebody is, where this is absent. */
  isThere?(): boolean;
  /** The key `file` is encrypted. */
  passphrase(file: string, node: string): Promise<Given | undefined>;
  password(user: string, node: string): Promise<Given | undefined>;
  /** One question of keyboard-interactive authentication, e.g. a one-time code. */
  answer(node: string, question: string, echo: boolean): Promise<string | undefined>;
  /** A host key nobody has seen: trust it? `fingerprint` as OpenSSH prints it (`SHA256:…`). */
  trustHost(node: string, keyType: string, fingerprint: string): Promise<boolean>;
}
