/**
 * A queue of bounded length between a producer and a consumer.
 *
 * @module
 */

/** A queue that applies backpressure: a producer waits while `most` items are in it. */
export class BoundedQueue<T> {
  readonly #most: number;
  #items: T[] = [];
  #untouched = true;
  #room: PromiseWithResolvers<void> | undefined;
  #change = Promise.withResolvers<void>();
  #end: { failure?: unknown; atOnce?: boolean } | undefined;
  #left: Error | undefined;

  /** An empty queue, which is full with `most` items. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether no item has been put in yet. */
  get untouched(): boolean {
    return this.#untouched;
  }

  /**
   * Puts items in. Where the queue is full then, the result is a promise: it resolves when there is room again, and
   * rejects where the consumer has stopped.
   *
   * @throws where the consumer had stopped before
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

  /** Ends the queue: no more items will be put in. */
  end(): void {
    this.#end = {};
    this.#change.resolve();
  }

  /**
   * Ends the queue with a failure. The consumer gets it after the remaining items, or instead of them with `atOnce`.
   */
  fail(failure: unknown, { atOnce }: { atOnce: boolean }): void {
    this.#end = { failure, atOnce };
    this.#change.resolve();
  }

  /**
   * Takes the items out. To be called once; where the consumer leaves the loop, later calls of {@linkcode put} fail.
   */
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
      this.#left = new Error("the consumer has stopped");
      this.#room?.reject(this.#left);
    }
  }
}
