/**
 * Sends replies in the order of their requests, though some are ready later than others.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { toFerryError } from "../../../../lib/core/errors.ts";
import type { Wire } from "../../../../lib/wire/frames.ts";

/** The keys of a reply. */
export type ReplyHeader = Record<string, unknown>;

/** At most this many requests of one connection wait to be answered at the same time. */
const MAX_PENDING_REPLIES = 256;

/** The replies of one connection. */
export class ReplyQueue {
  readonly #wire: Wire;
  /** Settles when the last reply has been handed to the connection. */
  #tail: Promise<void> = Promise.resolve();
  /** How many replies are not handed to the connection yet. */
  #pending = 0;
  /** Whether they will be flushed soon. */
  #flushing = false;
  /** Resolves when there is room for another reply; undefined while none waits for that. */
  #room: PromiseWithResolvers<void> | undefined;

  /** A queue in front of a connection. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Ends the connection where a reply cannot be sent: who reads from it would not notice. */
  readonly #fail = (error: unknown) => this.#wire.close(toFerryError(error));

  /** Adds a reply, which must not fail; waits while too many are waiting already. */
  async push(reply: Promise<ReplyHeader>): Promise<void> {
    this.#pending++;
    this.#tail = this.#sendAfter(this.#tail, reply);
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
      await before;
      await this.#wire.writeFrame(await reply);
      if (this.#pending === 1) this.#flushSoon();
    } finally {
      this.#pending--;
      this.#room?.resolve();
      this.#room = undefined;
    }
  }

  /** Flushes in the next turn: what is in the input buffer may be answered in this one, and leave with it. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.settle().catch(this.#fail);
    });
  }

  /** Resolves when all replies have been handed to the connection; fails where one could not be. */
  written(): Promise<void> {
    return this.#tail;
  }

  /** Resolves when all replies have left; fails where one could not be sent. */
  settle(): Promise<void> {
    return this.#tail = this.#tail.then(() => this.#wire.flush());
  }
}
