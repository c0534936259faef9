/**
 * Finding out what a server is that takes a connection and does not answer: most protocols of text wait for the end of
 * a line, which a greeting of this one does not have.
 *
 * @module
 */

import type { Address } from "../../lib/core/address.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { FIRST_BYTES, foreignProtocol } from "../../lib/wire/foreign_protocol.ts";
import { dial, type DialOptions } from "./dial.ts";

/** For how long a server may be silent before it is asked, in milliseconds, and for what part of the time that it has. */
const PATIENCE = { ms: 3000, part: 1 / 3 };

/** How long an answer is waited for, in milliseconds. */
const ANSWER_MS = 2000;

/** What HTTP answers, and what others that wait for a line refuse. It changes nothing on any of them. */
const QUESTION = new TextEncoder().encode("HEAD / HTTP/1.0\r\n\r\n");

/** The silence of a server from when a connection is begun until it is disposed of. */
export class SilentServerProbe implements Disposable {
  readonly #foreign = new AbortController();
  readonly #over = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  /** The silence of a server that is being reached, which has `timeout` milliseconds to answer. */
  constructor(address: Address, { timeout, tls }: Omit<DialOptions, "signal">) {
    const patience = Math.min(PATIENCE.ms, timeout * PATIENCE.part);
    this.#timer = setTimeout(async () => {
      const protocol = await this.#ask(address, tls);
      if (protocol === undefined || this.#over.signal.aborted) return;
      const reason = `it does not answer, and seems to speak ${protocol}`;
      this.#foreign.abort(new FerryError("bad_header", reason));
    }, patience);
  }

  /** Is aborted, with a `bad_header`, when the server has turned out to speak another protocol. */
  get foreign(): AbortSignal {
    return this.#foreign.signal;
  }

  /** What it speaks, by a connection of its own, so that a server that is only slow is not disturbed. */
  async #ask(address: Address, tls: DialOptions["tls"]): Promise<string | undefined> {
    const signal = this.#over.signal;
    // One that does not answer to TLS may answer without.
    for (const secured of tls ? [tls, undefined] : [undefined]) {
      try {
        using conn = await dial(address, { timeout: ANSWER_MS, tls: secured, signal });
        const protocol = foreignProtocol(await answerOf(conn, signal));
        if (protocol !== undefined && !(tls && protocol === "TLS")) return protocol;
      } catch {
        // It is as silent as before.
      }
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }
}

/** The first bytes that come for the question, within {@linkcode ANSWER_MS}. */
async function answerOf(conn: Deno.Conn, signal: AbortSignal): Promise<Uint8Array> {
  const close = () => conn.close();
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
