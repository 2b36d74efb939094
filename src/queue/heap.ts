/** A binary heap: the smallest first. */
export class Heap<T> {
  private readonly items: T[];

  constructor(
    items: Iterable<T>,
    private readonly compare: (a: T, b: T) => number,
  ) {
    this.items = [...items];
    for (let at = (this.items.length >>> 1) - 1; at >= 0; at--) this.sink(at);
  }

  get first(): T | undefined {
    return this.items[0];
  }

  /** Restores the order after the first item has grown. */
  firstChanged(): void {
    this.sink(0);
  }

  removeFirst(): void {
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return;
    this.items[0] = last;
    this.sink(0);
  }

  private sink(start: number): void {
    const { items } = this;
    const item = items[start];
    if (item === undefined) return;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      let smaller = items[child];
      const right = items[child + 1];
      if (smaller !== undefined && right !== undefined && this.compare(right, smaller) < 0) {
        smaller = right;
        child++;
      }
      if (smaller === undefined || this.compare(item, smaller) <= 0) break;
      items[at] = smaller;
      at = child;
    }
    items[at] = item;
  }
}
