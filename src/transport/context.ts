import type { LifeClock } from './lifeSigns';
import type { Prompter } from './transport';

/** How to log in to a host that the ssh config does not know. */
export interface Login {
  readonly user?: string;
  /** Path of a private key; may begin with `~/`. */
  readonly identityFile?: string;
  /** The password of whoever wrote it down; undefined when nobody did. Read when the server wants one. */
  readonly password?: () => Promise<string | undefined>;
}

/** What a connection needs from its surroundings. */
export interface SshContext {
  /** As `ssh -F`; undefined for the user's own config. */
  readonly configFile: string | undefined;
  /** Absent where nobody can be asked: then only keys that need no question work, and unknown hosts are refused. */
  readonly prompter: Prompter | undefined;
  /** Of the destination itself; hosts on the way to it have what the ssh config says. */
  readonly login?: Login | undefined;
  /** How a dead connection is noticed, also where the ssh config has no ServerAliveInterval; after 46 s of silence if absent. */
  readonly life?: LifeClock;
  /** `absent`: the system's ssh cannot help, so ask a person rather than give up in its favour. */
  readonly openSsh?: 'absent';
}
