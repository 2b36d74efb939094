/** A row as it would be drawn now. */
export interface Row<E> {
  /** Names it for as long as it is there. */
  readonly key: string;
  readonly element: E;
  /** What of it is to be seen at once when it changes; nothing of a row with others below it. */
  readonly state: string;
  /** All else of it that is drawn, but how old it is. */
  readonly looks: string;
}

/** Rows that are to be drawn again. */
export interface Redraw<E> {
  /** Those that are in another state. */
  readonly now: readonly E[];
  /** Those of which something else has changed, or what is below them: with these VS Code draws all rows below. */
  readonly soon: readonly E[];
}

/**
 * What a tree was last told of its rows. VS Code draws a row anew when it is told of it or of one above it, and a click is
 * lost when its button is drawn anew between press and release: so rows that look as before are left alone.
 */
export class DrawnRows<E> {
  private readonly rows = new Map<string, Row<E>>();
  private readonly below = new Map<string, readonly string[]>();

  /** Remembers the rows below a parent as drawn; returns their elements, for a key the same object as before. */
  draw(parent: string, rows: readonly Row<E>[]): E[] {
    const stays = new Set(rows.map(({ key }) => key));
    for (const key of this.below.get(parent) ?? []) if (!stays.has(key)) this.forget(key);
    this.below.set(parent, [...stays]);
    return rows.map((row) => this.note(row).element);
  }

  /** The elements of those rows that are there. */
  elements(keys: readonly string[]): E[] {
    return keys.flatMap((key) => this.rows.get(key)?.element ?? []);
  }

  /** The elements of which the rows below were drawn. */
  parents(): E[] {
    return [...this.below.keys()].flatMap((key) => this.rows.get(key)?.element ?? []);
  }

  /**
   * Which of the rows below a parent are to be drawn again, now that they are these, and takes them for drawn. `same` is
   * false when other rows are there than were drawn, or in another order: then the parent is to be.
   */
  changes(parent: string, rows: readonly Row<E>[]): Redraw<E> & { readonly same: boolean } {
    const drawn = this.below.get(parent) ?? [];
    const [now, soon]: [E[], E[]] = [[], []];
    for (const row of rows) {
      const before = this.rows.get(row.key);
      if (!before || (before.state === row.state && before.looks === row.looks)) continue;
      (before.state === row.state ? soon : now).push(this.note(row).element);
    }
    const same = drawn.length === rows.length && rows.every(({ key }, index) => key === drawn[index]);
    return { now, soon, same };
  }

  private note(row: Row<E>): Row<E> {
    const known = { ...row, element: this.rows.get(row.key)?.element ?? row.element };
    this.rows.set(row.key, known);
    return known;
  }

  private forget(key: string): void {
    this.rows.delete(key);
    const below = this.below.get(key);
    this.below.delete(key);
    for (const child of below ?? []) this.forget(child);
  }
}
