// How soon a node is looked at again first, and after the longest trouble.
const FIRST_LOOK_MS = 2_000;
const LAST_LOOK_MS = 60_000;

interface Unseen {
  message: string;
  pause: number;
  timer: NodeJS.Timeout | undefined;
}

/** Nodes that have GPUs which cannot be seen, because the tool that tells of them fails: each is looked at until it works. */
export class UnseenGpus {
  private readonly nodes = new Map<string, Unseen>();

  constructor(
    /** Looks at a node, and then says `add`, `remove` or `again`; a node that cannot be asked is looked at when it can be. */
    private readonly look: (node: string) => void,
  ) {}

  /** What is wrong with a node. */
  of(node: string): string | undefined {
    return this.nodes.get(node)?.message;
  }

  /** What is wrong with any node. */
  get first(): string | undefined {
    const [first] = this.nodes.values();
    return first?.message;
  }

  add(node: string, message: string): void {
    const known = this.nodes.get(node);
    if (known) known.message = message;
    else this.nodes.set(node, { message, pause: FIRST_LOOK_MS, timer: undefined });
    this.again(node);
  }

  /** Looks at a node again after a pause, longer each time. */
  again(node: string): void {
    const unseen = this.nodes.get(node);
    if (!unseen || unseen.timer) return;
    unseen.timer = setTimeout(() => {
      unseen.timer = undefined;
      this.look(node);
    }, unseen.pause);
    unseen.pause = Math.min(unseen.pause * 2, LAST_LOOK_MS);
  }

  /** Its GPUs are seen, or it is gone. */
  remove(node: string): void {
    clearTimeout(this.nodes.get(node)?.timer);
    this.nodes.delete(node);
  }

  close(): void {
    for (const node of [...this.nodes.keys()]) this.remove(node);
  }
}
