// So many rows may become older in one second.
const LEAST_MS = 1000;
// Of a timer for longer nothing is left when a computer has slept.
const MOST_MS = 60_000;

/**
 * Has rows drawn again when what they say of their age is not true any more: each by itself, no other with it, and nothing
 * is looked at before the next of them is due.
 */
export class Ages {
  /** Until when what a row says is true, by the row's key; ms since 1970. */
  private readonly until = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private dueAt = Infinity;

  constructor(
    /** Takes the keys of rows that say too little by now, some of which may be gone. */
    private readonly redraw: (keys: readonly string[]) => void,
    private readonly isVisible: () => boolean,
    private readonly now: () => number = Date.now,
  ) {}

  /** A row was drawn. `until`: when it becomes older than it says; undefined for one that says nothing of its age. */
  drawn(key: string, until: number | undefined): void {
    if (until === undefined) this.until.delete(key);
    else {
      this.until.set(key, until);
      if (until < this.dueAt) this.wait(until);
    }
  }

  /** Looks what became older; called when rows that could not be seen can be. */
  look(): void {
    clearTimeout(this.timer);
    this.dueAt = Infinity;
    // Whoever shows them again calls.
    if (!this.isVisible()) return;
    const now = this.now();
    const old = [...this.until].filter(([, until]) => until <= now).map(([key]) => key);
    // Drawn again, they say until when; those that are gone are forgotten.
    for (const key of old) this.until.delete(key);
    if (this.until.size > 0) this.wait(Math.min(...this.until.values()));
    if (old.length > 0) this.redraw(old);
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private wait(until: number): void {
    clearTimeout(this.timer);
    this.dueAt = until;
    const ms = Math.min(MOST_MS, Math.max(LEAST_MS, until - this.now()));
    this.timer = setTimeout(() => this.look(), ms);
  }
}
