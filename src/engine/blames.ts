import { AgentError } from '../node';
import { ConnectError } from '../transport';

/** Whose fault it was that a node did not take a job. Each with words for a person. */
export type Blame =
  /** The node gets nothing for a while. */
  | { readonly of: 'node'; readonly words: string }
  /** The job is tried again after a pause, while others go on. */
  | { readonly of: 'job'; readonly words: string; readonly retryMs: number }
  /** No node will ever take the job. */
  | { readonly of: 'job'; readonly words: string; readonly retryMs: undefined };

// How often a job is tried that no node takes, each time after a longer pause: by so many ms.
const MOST_BLAMES = 3;
const BLAME_RETRY_MS = 5_000;
const ON_ITS_DISK = /no space|quota|read-only file system|input\/output error|cannot write/i;

/** How often nodes did not take a job, for a reason of its own. */
export class Blames {
  private readonly times = new Map<string, number>();

  /** A node did not take a job. A disk that is full is the node's; of anything else it may be that no node will take the job. */
  add(uuid: string, node: string, error: unknown): Blame {
    const words = error instanceof Error ? error.message : String(error);
    if (error instanceof AgentError || error instanceof ConnectError || ON_ITS_DISK.test(words))
      return { of: 'node', words: `${node} cannot take jobs: ${words}` };
    const times = (this.times.get(uuid) ?? 0) + 1;
    this.times.set(uuid, times);
    return times > MOST_BLAMES
      ? { of: 'job', words: `${node} cannot take the job: ${words}`, retryMs: undefined }
      : {
          of: 'job',
          words: `${node} could not take it: ${words}; it is tried again`,
          retryMs: times * BLAME_RETRY_MS,
        };
  }

  /** The job has ended. */
  forget(uuid: string): void {
    this.times.delete(uuid);
  }
}
