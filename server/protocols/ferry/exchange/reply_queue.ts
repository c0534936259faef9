/**
 * Replies leave in the order of their requests, though some are ready later than others.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { toFerryError } from "../../../../lib/core/errors.ts";
import type { Wire } from "../../../../lib/wire/frames.ts";

/** The keys of a reply. */
export type ReplyHeader = Record<string, unknown>;

/** How many requests of one connection may wait for their commit at the same time. */
const MAX_PENDING_REPLIES = 256;

/** Replies in the order of their requests, though some are ready later than others. */
export class ReplyQueue {
  readonly #wire: Wire;
  #tail: Promise<void> = Promise.resolve();
  #pending = 0;
  #flushing = false;
  /** What waits for room, while there is none. */
  #room: PromiseWithResolvers<void> | undefined;

  /** A queue in front of a connection. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** A reply that cannot be sent ends the connection: nobody may be reading from it who would hear of that. */
  readonly #fail = (error: unknown) => this.#wire.close(toFerryError(error));

  /** Adds a reply, which must not fail; waits while too many are waiting already. */
  async push(reply: Promise<ReplyHeader>): Promise<void> {
    this.#pending++;
    const busy = [this.#wire.hold(), this.#wire.converse()];
    this.#tail = this.#tail.then(() => this.#send(reply)).finally(() => {
      for (const one of busy) one[Symbol.dispose]();
      this.#pending--;
      this.#room?.resolve();
      this.#room = undefined;
    });
    this.#tail.catch(this.#fail);
    while (this.#pending >= MAX_PENDING_REPLIES) {
      this.#room ??= Promise.withResolvers();
      await this.#room.promise;
    }
  }

  async #send(reply: Promise<ReplyHeader>): Promise<void> {
    await this.#wire.writeFrame(await reply);
    if (this.#pending > 1 || this.#flushing) return;
    this.#flushing = true;
    // Not at once: what is in the input buffer may be answered in the same turn, and leave with this.
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
