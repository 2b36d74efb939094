/** A set of node ordinals (0, 1, 2 …) as bits, so that a search goes in ascending order and skips 32 nodes at a time. */
export class NodeSet {
  /** Bit i of word w is ordinal 32 w + i. */
  readonly words: number[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Adds an ordinal that is not in the set. */
  add(ordinal: number): void {
    const word = ordinal >>> 5;
    while (this.words.length <= word) this.words.push(0);
    this.words[word] = (this.words[word] ?? 0) | (1 << (ordinal & 31));
    this.count++;
  }

  /** Deletes an ordinal that is in the set. */
  delete(ordinal: number): void {
    const word = ordinal >>> 5;
    this.words[word] = (this.words[word] ?? 0) & ~(1 << (ordinal & 31));
    this.count--;
  }
}

/** Node ordinals by a number (free devices, or the free share of one), read in ascending order of that number. */
export class Buckets {
  /** Numbers that some node has, ascending. */
  readonly keys: number[] = [];
  private readonly sets = new Map<number, NodeSet>();

  get(key: number): NodeSet | undefined {
    return this.sets.get(key);
  }

  /** Puts the node under the number; it must not be there yet. */
  put(key: number, ordinal: number): void {
    let set = this.sets.get(key);
    if (!set) {
      set = new NodeSet();
      this.sets.set(key, set);
      this.keys.splice(this.firstFrom(key), 0, key);
    }
    set.add(ordinal);
  }

  /** Takes the node from under the number; it must be there. */
  drop(key: number, ordinal: number): void {
    const set = this.sets.get(key);
    if (!set) return;
    set.delete(ordinal);
    if (set.size > 0) return;
    this.sets.delete(key);
    this.keys.splice(this.firstFrom(key), 1);
  }

  /** Index into `keys` of the first number that is at least this. */
  firstFrom(least: number): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.keys[middle] ?? 0) < least) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many entries are under numbers that are at least this, counted no further than `enough`. */
  countFrom(least: number, enough: number): number {
    let count = 0;
    for (let i = this.firstFrom(least); i < this.keys.length && count < enough; i++) {
      count += this.sets.get(this.keys[i] ?? 0)?.size ?? 0;
    }
    return count;
  }
}
