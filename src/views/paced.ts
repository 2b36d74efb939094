/** Does a piece of work at the first call, and then at most once in so many ms, as long as it is called for. */
export class Paced {
  private timer: NodeJS.Timeout | undefined;
  private wanted = false;

  constructor(
    private readonly work: () => void,
    private readonly everyMs: number,
  ) {}

  call(): void {
    this.wanted = true;
    if (this.timer === undefined) this.go();
  }

  /** What was called for and not done is not done any more. */
  dispose(): void {
    clearTimeout(this.timer);
  }

  private go(): void {
    this.timer = undefined;
    if (!this.wanted) return;
    this.wanted = false;
    this.timer = setTimeout(() => this.go(), this.everyMs);
    this.work();
  }
}
