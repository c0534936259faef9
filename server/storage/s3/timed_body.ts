/**
 * The body of an answer that may not pause for too long, nor end too early.
 *
 * @module
 */

import type { Clock } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { connectionFailure } from "./s3_error.ts";

/** Options of {@linkcode TimedBody}. */
export interface TimedBodyOptions {
  /** Measures pauses. */
  clock: Clock;
  /** How long a pause may be, in milliseconds. */
  idleTimeout: number;
  /** Aborts the request when a pause is too long. */
  abort: AbortController;
  /** Called once when nothing more will be read. */
  onEnd: () => void;
}

/** The most bytes of an answer that is read as a whole. A page of a list has at most some MiB. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The body of an answer. */
export class TimedBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #options: TimedBodyOptions;
  /** How many bytes the answer promises; NaN if it does not say. */
  readonly #promised: number;
  #received = 0;
  #ended = false;

  /** Takes the body of a response over. */
  constructor(response: Response, options: TimedBodyOptions) {
    // Deno 2.4 does not declare that no other thread shares these bytes.
    const body = response.body as ReadableStream<Uint8Array<ArrayBuffer>> | null;
    this.#reader = body?.getReader();
    this.#options = options;
    this.#promised = Number(response.headers.get("content-length") ?? NaN);
  }

  /**
   * Reads some bytes; undefined at the end.
   *
   * @throws {FerryError} `unreachable` if the body ends too early, `timeout` if it pauses for too long
   */
  async read(): Promise<Uint8Array | undefined> {
    if (!this.#reader) this.#end();
    if (!this.#reader || this.#ended) return undefined;
    const { clock, idleTimeout, abort } = this.#options;
    const timer = clock.setTimeout(() => {
      abort.abort(new FerryError("timeout", "the object store stopped in the middle of an answer"));
    }, idleTimeout);
    let value: Uint8Array | undefined;
    try {
      ({ value } = await this.#reader.read());
    } catch (error) {
      this.#end();
      throw abort.signal.aborted ? abort.signal.reason : connectionFailure(error);
    } finally {
      clock.clearTimeout(timer);
    }
    this.#received += value?.length ?? 0;
    if (value !== undefined) return value;
    this.#end();
    // The runtime takes some bodies that were cut for whole ones.
    if (this.#received < this.#promised) {
      throw new FerryError("unreachable", "the object store ended an answer too early");
    }
    return undefined;
  }

  /** Reads all of it; fails as {@linkcode TimedBody.read} does. */
  async whole(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for (let chunk; (chunk = await this.read()) !== undefined;) {
      chunks.push(chunk);
      if (this.#received > MOST_BYTES) {
        await this.cancel();
        throw new FerryError("io", "the object store sent an answer without an end");
      }
    }
    const whole = new Uint8Array(this.#received);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  /** Reads no more. It does not fail. */
  async cancel(): Promise<void> {
    if (this.#ended) return;
    this.#end();
    await this.#reader?.cancel().catch(() => {});
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.onEnd();
  }
}
