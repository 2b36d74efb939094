/** `crypto.createDecipheriv`, as far as it matters here. */
export type MakeDecipher = (name: string, key: unknown, iv: unknown, options?: unknown) => object;

interface Counted {
  readonly name: string;
  readonly key: object;
  /** Counted up in place by its owner, once for each decipher. */
  readonly iv: Buffer;
  /** What it was for the last one that was made. */
  readonly lastIv: Buffer;
  next: object | undefined;
}

/**
 * Has the next decipher of a counted key ready before it is asked for. AES-GCM wants one for each packet (RFC 5647, 7.1), and to
 * make one is a sixth of what a line costs that comes to a client which has been idle. Whoever uses one key with an `iv` that it
 * counts up in place, as ssh2 does, calls `prepare` when there is time; all others get what they would have got.
 */
export class DecipherAhead {
  private readonly counted = new WeakMap<object, Counted>();
  private latest: Counted | undefined;

  constructor(private readonly create: MakeDecipher) {}

  /** The same as `create`. */
  readonly make: MakeDecipher = (name, key, iv, options) => {
    const counted = this.counted.get(key as object);
    if (counted && counted.iv === iv) {
      const { next } = counted;
      counted.next = undefined;
      this.latest = counted;
      if (next && counted.lastIv.equals(counted.iv)) return next;
      counted.iv.copy(counted.lastIv);
    } else if (name.endsWith('-gcm') && Buffer.isBuffer(key) && Buffer.isBuffer(iv)) {
      this.latest = { name, key, iv, lastIv: Buffer.from(iv), next: undefined };
      this.counted.set(key, this.latest);
    }
    return this.create(name, key, iv, options);
  };

  /** Makes the next decipher of the key that was used last, unless the last one is still in use. */
  readonly prepare = (): void => {
    const { latest } = this;
    if (!latest || latest.next || latest.lastIv.equals(latest.iv)) return;
    latest.iv.copy(latest.lastIv);
    latest.next = this.create(latest.name, latest.key, latest.iv);
  };
}
