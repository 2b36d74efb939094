/** Takes a listener back. */
export type Unsubscribe = () => void;

/** A list of listeners of one kind of event. */
export class Emitter<T> {
  private readonly listeners = new Set<(event: T) => void>();

  readonly on = (listener: (event: T) => void): Unsubscribe => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  fire(event: T): void {
    for (const listener of [...this.listeners]) listener(event);
  }

  get used(): boolean {
    return this.listeners.size > 0;
  }
}
