import type { Engine, FetchProgress, FetchRequest, Received } from '../engine';

/** Downloads under way in the process that has the engine, by the name that who asked gave each. */
export class Fetches {
  private readonly running = new Map<string, { abort: AbortController; progress: FetchProgress | null }>();

  constructor(private readonly engine: Engine) {}

  /** @throws as `Engine.fetch` */
  async run({ fetch, ...request }: FetchRequest & { fetch: string }): Promise<Received> {
    const entry = { abort: new AbortController(), progress: null as FetchProgress | null };
    this.running.set(fetch, entry);
    try {
      const { files, bytes, skipped } = await this.engine.fetch(request, {
        signal: entry.abort.signal,
        progress: (progress) => (entry.progress = progress),
      });
      return { files, bytes, skipped };
    } finally {
      this.running.delete(fetch);
    }
  }

  /** Null before it began and after it ended. */
  state(fetch: string): FetchProgress | null {
    return this.running.get(fetch)?.progress ?? null;
  }

  stop(fetch: string): void {
    this.running.get(fetch)?.abort.abort();
  }
}
