/**
 * A download whose destination is decided later.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { Outlet } from "../transfer/destination.ts";
import { MemorySink } from "../transfer/memory_sink.ts";
import type { GetOptions, Transferred } from "../transfer/options.ts";

/** The most bytes that are returned as one array or string: the maximum string length of the JavaScript engine. */
const MEMORY_BYTES = 2 ** 29 - 24;

/** How many bytes of a stream are received before its reader asks for them. */
const AHEAD_BYTES = 1024 * 1024;

/**
 * The result of {@linkcode Client.get} without an `out`. Awaited, it stores the file in the working directory, under
 * the last part of its name. Its methods fetch the content instead. Nothing is requested from the server before one of
 * these happens.
 */
export class Download implements Promise<Transferred> {
  /** Always `Download`. */
  readonly [Symbol.toStringTag] = "Download";
  readonly #options: GetOptions;
  readonly #start: (options: GetOptions, outlet?: Outlet) => Promise<Transferred>;
  #stored: Promise<Transferred> | undefined;

  /** A download with these options; made by {@linkcode Client.get}. */
  constructor(
    options: GetOptions,
    start: (options: GetOptions, outlet?: Outlet) => Promise<Transferred>,
  ) {
    this.#options = options;
    this.#start = start;
  }

  /** Stores the file in the working directory; called by `await`. */
  readonly then: Promise<Transferred>["then"] = (...args) => this.#store().then(...args);

  /** Stores it as {@linkcode Download.then} does. */
  readonly catch: Promise<Transferred>["catch"] = (...args) => this.#store().catch(...args);

  /** Stores it as {@linkcode Download.then} does. */
  readonly finally: Promise<Transferred>["finally"] = (...args) => this.#store().finally(...args);

  #store(): Promise<Transferred> {
    return this.#stored ??= this.#start(this.#options);
  }

  /**
   * All the bytes, when they have been verified; up to 512 MiB.
   *
   * @throws {FerryError} as {@linkcode Client.get}; `too_large`
   */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const gathered = new MemorySink(MEMORY_BYTES);
    await this.#fetch(new Outlet(gathered));
    return gathered.bytes();
  }

  /**
   * The text, which is in UTF-8, when it has been verified; up to 512 MiB.
   *
   * @throws {FerryError} as {@linkcode Client.get}; `too_large`; `io` where it is not UTF-8
   */
  async text(): Promise<string> {
    const bytes = await this.bytes();
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new FerryError("io", "it is no text in UTF-8: take its bytes()", { cause });
    }
  }

  /**
   * The bytes as they arrive. They are verified at the end of the stream: where they are not the file's, or the
   * connection is lost, the stream fails with a {@linkcode FerryError}. Apart from the first MiB, the file is fetched
   * only as fast as it is read. Canceling the stream ends the transfer.
   */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const left = new AbortController();
    const { signal } = this.#options;
    const options = { signal: signal ? AbortSignal.any([signal, left.signal]) : left.signal };
    let wanted: PromiseWithResolvers<void> | undefined;
    let fetching: Promise<unknown>;
    const stream: ReadableStream<Uint8Array> = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        const write = (bytes: Uint8Array) => {
          controller.enqueue(bytes.slice());
          if (controller.desiredSize! > 0) return Promise.resolve();
          wanted = Promise.withResolvers();
          return wanted.promise;
        };
        const outlet = new Outlet({
          write: (bytes, waitFor) => waitFor(() => write(bytes)),
        });
        fetching = this.#fetch(outlet, options).then(() => {
          if (left.signal.aborted) return;
          controller.close();
          // A reader that waits with its own buffer (BYOB) is told that nothing was read into it.
          controller.byobRequest?.respond(0);
          // close() throws where the last bytes do not fill an element of the typed array that the reader passed.
        }).catch((error) => controller.error(error));
      },
      pull: () => wanted?.resolve(),
      async cancel(reason) {
        left.abort(reason);
        await fetching;
      },
    }, { highWaterMark: AHEAD_BYTES });
    // Deno 2.4 does not declare which kind of buffer the chunks of such a stream are in.
    return stream as ReadableStream<Uint8Array<ArrayBuffer>>;
  }

  async #fetch(outlet: Outlet, options: Pick<GetOptions, "signal"> = {}): Promise<void> {
    await this.#start({ ...this.#options, ...options }, outlet);
  }
}
