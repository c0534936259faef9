/**
 * Sends replies in the order of their requests, even if some are ready earlier than others.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { toFerryError } from "../../../../lib/core/errors.ts";
import type { Wire } from "../../../../lib/wire/frames.ts";

/** The keys of a reply. */
export type ReplyHeader = Record<string, unknown>;

/** The maximum number of requests of one connection that may be waiting for their replies. */
const MAX_PENDING_REPLIES = 256;

/** The replies of one connection. */
export class ReplyQueue {
  readonly #wire: Wire;
  /** Settles when the last reply has been written to the connection's output buffer. */
  #tail: Promise<void> = Promise.resolve();
  /** Settles when the last reply to a request has been written that may take effect only shortly before that. */
  #ineffective: Promise<void> = Promise.resolve();
  /** The number of replies that are not written yet. */
  #pending = 0;
  /** Whether a flush is scheduled. */
  #flushing = false;
  /** Resolves when there is room for another reply; undefined while nobody waits for that. */
  #room: PromiseWithResolvers<void> | undefined;

  /** Creates a queue for a connection. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Closes the connection if a reply cannot be sent: its reader would not notice otherwise. */
  readonly #fail = (error: unknown) => this.#wire.close(toFerryError(error));

  /**
   * Adds a reply, which must not fail; waits while too many are queued.
   *
   * @param options.effective whether the request has taken effect already, though the reply is not ready. Default: false
   */
  async push(reply: Promise<ReplyHeader>, { effective = false } = {}): Promise<void> {
    this.#pending++;
    this.#tail = this.#sendAfter(this.#tail, reply);
    if (!effective) this.#ineffective = this.#tail;
    this.#tail.catch(this.#fail);
    while (this.#pending >= MAX_PENDING_REPLIES) {
      this.#room ??= Promise.withResolvers();
      await this.#room.promise;
    }
  }

  async #sendAfter(before: Promise<void>, reply: Promise<ReplyHeader>): Promise<void> {
    using _hold = this.#wire.hold();
    using _conversation = this.#wire.converse();
    try {
      // Also where it cannot be sent any more: until then the request may be at work.
      const keys = await reply;
      await before;
      await this.#wire.writeFrame(keys);
      if (this.#pending === 1) this.#flushSoon();
    } finally {
      this.#pending--;
      this.#room?.resolve();
      this.#room = undefined;
    }
  }

  /**
   * Flushes in the next turn of the event loop: requests in the input buffer may be answered in this turn, so that
   * their replies are sent together.
   */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.settle().catch(this.#fail);
    });
  }

  /**
   * Resolves when all replies have been written to the output buffer; fails if one could not be, but not before all
   * requests have ended.
   */
  written(): Promise<void> {
    return this.#tail;
  }

  /** Resolves when all requests that were answered so far have taken effect. */
  effective(): Promise<void> {
    return this.#ineffective;
  }

  /** Resolves when all replies have been sent; fails like {@linkcode ReplyQueue.written} if one could not be. */
  settle(): Promise<void> {
    return this.#tail = this.#tail.then(() => this.#wire.flush());
  }
}
