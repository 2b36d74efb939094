import type { AgentSession } from '../node';
import type { Channel } from '../transport';
import { Sender, type SyncWatcher } from './files/sender';
import { Snapshots, type TakeOptions } from './files/snapshots';

export type { SyncProgress, SyncWatcher } from './files/sender';
export type { TakeOptions } from './files/snapshots';

/**
 * Workdirs as they were at submit: kept on this machine by content, and brought to each node that needs one. A job that
 * waited an hour runs the code of an hour ago.
 */
export class Workdirs {
  private readonly snapshots: Snapshots;
  private readonly sender: Sender;

  constructor(dir: string) {
    this.snapshots = new Snapshots(dir);
    this.sender = new Sender(this.snapshots);
  }

  /**
   * Takes a folder, or a single file, as it is now; returns the name of the snapshot (a hash of all that is in it). What
   * `.skyignore` at its root names stays out; without one, what the `.gitignore` files in it name (as SkyPilot does).
   * @throws QueueError `workdir` when the folder cannot be read
   */
  take(folder: string, options?: TakeOptions): Promise<string> {
    return this.snapshots.take(folder, options);
  }

  /** What did not come along when a folder was last taken like this, in words; undefined when all did. */
  lacking(folder: string, options?: TakeOptions): string | undefined {
    return this.snapshots.lacking(folder, options);
  }

  /** Makes sure that a node has a snapshot's tree. @throws Error with the node's words, or the signal's reason */
  send(
    name: string,
    session: AgentSession,
    exec: (command: string) => Promise<Channel>,
    watcher: SyncWatcher,
  ): Promise<void> {
    return this.sender.send(name, session, exec, watcher);
  }

  /** Removes what no job whose snapshot is in `wanted` needs, but for the latest of each workdir. */
  sweep(wanted: ReadonlySet<string>): Promise<void> {
    return this.snapshots.sweep(wanted);
  }
}
