/**
 * A server that refuses a body before it has been sent completely.
 *
 * @module
 */

import type { FerryError } from "../../lib/core/errors.ts";

/** The error reply to a request whose body is still being sent. */
export class EarlyRefusal {
  /** The server's error; undefined while there is no reply. */
  error: FerryError | undefined;
  #interrupt: (error: FerryError) => void = () => {};

  /** Records the server's error: the body ends before its next piece. */
  refuse(error: FerryError): void {
    this.error = error;
    this.#interrupt(error);
  }

  /**
   * The pieces of a body. Fails as soon as the server refuses, even while waiting for a piece.
   *
   * @throws {FerryError} the server's error
   */
  async *until(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    const source = pieces[Symbol.asyncIterator]();
    let done: boolean | undefined = false;
    try {
      for (;;) {
        if (this.error) throw this.error;
        const refused = Promise.withResolvers<never>();
        this.#interrupt = refused.reject;
        const next = await Promise.race([source.next(), refused.promise]);
        done = next.done;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // A source that is waiting for its next piece may never yield it, so its end is not awaited.
      if (!done) void source.return?.().catch(() => {});
    }
  }
}
