import type { Prompter } from './transport';

/** What a connection needs from its surroundings. */
export interface SshContext {
  /** As `ssh -F`; undefined for the user's own config. */
  readonly configFile: string | undefined;
  /** Absent where nobody can be asked: then only keys that need no question work, and unknown hosts are refused. */
  readonly prompter: Prompter | undefined;
  /** How a dead connection is noticed, where the ssh config has no ServerAliveInterval; 12 s, three times, if absent. */
  readonly keepalive?: { readonly intervalMs: number; readonly countMax: number };
  /** `absent`: the system's ssh cannot help, so ask a person rather than give up in its favour. */
  readonly openSsh?: 'absent';
}
