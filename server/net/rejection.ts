/**
 * The reply to a client whose connection is rejected.
 *
 * @module
 */

import type { FerryError } from "../../lib/core/errors.ts";
import { errorReply } from "../../lib/wire/error_reply.ts";
import { Wire } from "../../lib/wire/frames.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { ConnectionHandler } from "./listener.ts";

/** How long a rejected client may take to read the reply, in milliseconds. */
export const REJECTION_MS = 2000;

/** Replies with an error to the first request of a client, whatever it is, and ends its connection. */
export class Rejection implements ConnectionHandler {
  readonly #wire: Wire;
  readonly #reason: FerryError;

  /** Creates the rejection of a connection that was just accepted, which it owns from now on. */
  constructor(stream: ByteStream, reason: FerryError, runtime: Runtime) {
    this.#reason = reason;
    this.#wire = new Wire(stream, { runtime, idleTimeout: REJECTION_MS });
  }

  /** Resolves when the connection has ended. Never fails. */
  async run(): Promise<void> {
    try {
      await this.#wire.writeFrame(errorReply(this.#reason));
      // Give the client a moment to read the reply.
      await this.#wire.closeGracefully();
    } catch {
      // The client has disconnected.
    } finally {
      this.#wire.close();
    }
  }

  /** Does nothing: the connection ends soon by itself. */
  drain(): void {}

  close(reason: FerryError): void {
    this.#wire.close(reason);
  }
}
