/**
 * A queue between who puts items in and who takes them out.
 *
 * @module
 */

/** Items that one side puts in and another one takes out, of which only so many wait. */
export class BoundedQueue<T> {
  readonly #most: number;
  #items: T[] = [];
  #untouched = true;
  #room: PromiseWithResolvers<void> | undefined;
  #change = Promise.withResolvers<void>();
  #end: { failure?: unknown; atOnce?: boolean } | undefined;
  #left: Error | undefined;

  /** An empty backlog, which is full with `most` items. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether nothing has been put in. */
  get untouched(): boolean {
    return this.#untouched;
  }

  /**
   * Puts items in. Where it is full then, the result resolves when it is not any more, and rejects where nobody
   * takes anything any more.
   *
   * @throws where that was so before
   */
  put(items: readonly T[]): Promise<void> | undefined {
    if (this.#left) throw this.#left;
    this.#untouched = false;
    for (const item of items) this.#items.push(item);
    this.#change.resolve();
    if (this.#items.length < this.#most) return undefined;
    this.#room = Promise.withResolvers();
    return this.#room.promise;
  }

  /** Nothing more is put in. */
  end(): void {
    this.#end = {};
    this.#change.resolve();
  }

  /** Nothing more is put in for that reason, which shows behind what is in it, or `atOnce`. */
  fail(failure: unknown, { atOnce }: { atOnce: boolean }): void {
    this.#end = { failure, atOnce };
    this.#change.resolve();
  }

  /** Takes the items out. To be called once; whoever puts something in later than it is left is told. */
  async *taken(): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const items = this.#items;
        this.#items = [];
        this.#room?.resolve();
        for (const item of items) {
          if (this.#end?.atOnce) throw this.#end.failure;
          yield item;
        }
        if (this.#items.length > 0) continue;
        if (!this.#end) {
          await this.#change.promise;
          this.#change = Promise.withResolvers();
        } else if ("failure" in this.#end) throw this.#end.failure;
        else return;
      }
    } finally {
      this.#left = new Error("nobody takes what has come");
      this.#room?.reject(this.#left);
    }
  }
}
