/**
 * A server that refuses a body before all of it has been sent.
 *
 * @module
 */

import type { FerryError } from "../../lib/core/errors.ts";

/** The error with which a server has answered a request whose body is still being sent, once it has. */
export class EarlyRefusal {
  /** The server's error; undefined as long as it has not answered. */
  error: FerryError | undefined;
  #interrupt: (error: FerryError) => void = () => {};

  /** Says that the server has refused: the body ends before its next piece. */
  refuse(error: FerryError): void {
    this.error = error;
    this.#interrupt(error);
  }

  /**
   * The pieces of a body. Fails as soon as the server refuses, also while a piece is waited for.
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
      // A source that is being asked for a piece may never give it, so its end is not waited for.
      if (!done) void source.return?.().catch(() => {});
    }
  }
}
