/**
 * Detects a server of another protocol that accepts a connection and does not answer: most text protocols wait for the
 * end of a line, which the handshake of this protocol does not contain.
 *
 * @module
 */

import type { Address } from "../../lib/core/address.ts";
import { closeQuietly } from "../../lib/core/close_quietly.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { FIRST_BYTES, foreignProtocol } from "../../lib/wire/foreign_protocol.ts";
import { dial, type DialOptions } from "./dial.ts";

/** How long a server may be silent before it is probed: `ms` milliseconds, but at most this part of its timeout. */
const PATIENCE = { ms: 3000, part: 1 / 3 };

/** How long the answer to the probe is waited for, in milliseconds. */
const ANSWER_MS = 2000;

/** A request that HTTP servers answer, and that other text protocols refuse. It changes nothing on any of them. */
const QUESTION = new TextEncoder().encode("HEAD / HTTP/1.0\r\n\r\n");

/** Watches for the silence of a server, from the start of a connection until disposed of. */
export class SilentServerProbe implements Disposable {
  readonly #foreign = new AbortController();
  readonly #over = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  /** A watch over a server that has `timeout` milliseconds to answer. */
  constructor(address: Address, { timeout, tls }: Omit<DialOptions, "signal">) {
    const patience = Math.min(PATIENCE.ms, timeout * PATIENCE.part);
    this.#timer = setTimeout(async () => {
      const protocol = await this.#ask(address, tls);
      if (protocol === undefined || this.#over.signal.aborted) return;
      const reason = `it does not answer, and seems to speak ${protocol}`;
      this.#foreign.abort(new FerryError("bad_header", reason));
    }, patience);
  }

  /** Aborted with a `bad_header` error when the server turns out to speak another protocol. */
  get foreign(): AbortSignal {
    return this.#foreign.signal;
  }

  /**
   * The protocol that the server speaks. It is found over a second connection, so that a slow server is not disturbed.
   */
  async #ask(address: Address, tls: DialOptions["tls"]): Promise<string | undefined> {
    const signal = this.#over.signal;
    // A server that does not answer over TLS may answer without.
    for (const secured of tls ? [tls, undefined] : [undefined]) {
      try {
        using conn = await dial(address, { timeout: ANSWER_MS, tls: secured, signal });
        const protocol = foreignProtocol(await answerOf(conn, signal));
        if (protocol !== undefined && !(tls && protocol === "TLS")) return protocol;
      } catch {
        // The server is still silent.
      }
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }
}

/** The first bytes of the answer, within {@linkcode ANSWER_MS}. */
async function answerOf(conn: Deno.Conn, signal: AbortSignal): Promise<Uint8Array> {
  const close = () => closeQuietly(conn);
  const timer = setTimeout(close, ANSWER_MS);
  signal.addEventListener("abort", close, { once: true });
  try {
    for (let sent = 0; sent < QUESTION.length;) sent += await conn.write(QUESTION.subarray(sent));
    const first = new Uint8Array(FIRST_BYTES);
    let filled = 0;
    while (filled < first.length) {
      const count = await conn.read(first.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return first.subarray(0, filled);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", close);
  }
}
