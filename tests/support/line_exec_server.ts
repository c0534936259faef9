/**
 * A server of classic exec that sends canned answers, for tests of the client.
 *
 * @module
 */

import { LineExecClient } from "../../client/line_exec/client.ts";
import { type Framing } from "../../lib/line_exec/framing.ts";
import { text, utf8 } from "./bytes.ts";

/** A length, and a JSON header after it. */
export function headed(json: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof json === "string" ? utf8.encode(json) : json;
  const all = new Uint8Array(4 + bytes.length);
  new DataView(all.buffer).setInt32(0, bytes.length, true);
  all.set(bytes, 4);
  return all;
}

/**
 * A server that answers the first line of each connection with the given segments, a moment apart, and closes the
 * connection after them if `ends` is set.
 */
export class ForeignServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;
  readonly #answering: Promise<void>[] = [];
  readonly #over = Promise.withResolvers<void>();
  /** The received lines. */
  readonly lines: string[] = [];

  /** Starts it. */
  constructor(segments: Iterable<Uint8Array>, { ends = false, lines = 1 } = {}) {
    this.#serving = this.#serve([...segments], ends, lines);
  }

  /** The address that it listens on. */
  get address(): Deno.NetAddr {
    return this.#listener.addr;
  }

  /** `127.0.0.1:PORT` */
  get text(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async #serve(segments: Uint8Array[], ends: boolean, lines: number): Promise<void> {
    for await (const conn of this.#listener) {
      this.#answering.push(this.#answer(conn, segments, ends, lines).catch(() => {}));
    }
  }

  async #answer(
    conn: Deno.TcpConn,
    segments: Uint8Array[],
    ends: boolean,
    lines: number,
  ): Promise<void> {
    using _conn = conn;
    conn.setNoDelay(true);
    const buffer = new Uint8Array(1024);
    for (let line = 0; line < lines; line++) {
      const count = await conn.read(buffer);
      if (count === null) break;
      this.lines.push(text(buffer.subarray(0, count)));
      for (const segment of segments) {
        await conn.write(segment);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    if (!ends) await this.#over.promise;
  }

  /** A client of this server. */
  client(framing: Framing, timeout = 10_000): LineExecClient {
    const { signal } = new AbortController();
    return new LineExecClient(this.address, { framing, timeout, connectTimeout: 10_000, signal });
  }

  /** Closes the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.resolve();
    this.#listener.close();
    await this.#serving.catch(() => {});
    await Promise.all(this.#answering);
  }
}

/** Each byte of texts and bytes separately. */
export function* inBytes(...parts: (string | Uint8Array)[]): Generator<Uint8Array> {
  for (const part of parts) {
    const bytes = typeof part === "string" ? utf8.encode(part) : part;
    for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
  }
}

/** A header preceded by its length. */
export function json(keys: object): Uint8Array<ArrayBuffer> {
  return headed(JSON.stringify(keys));
}
