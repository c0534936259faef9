/**
 * The body of a request, which is read as it is needed. The client is told to go on (`100 Continue`) only when the first
 * read begins, so that a refused body is never sent.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { FerryError } from "../../../../lib/core/errors.ts";

/** Received bytes that wait to be read: above `high` reading from the peer pauses, below `low` it continues. */
const BUFFERED = { high: 512 * 1024, low: 128 * 1024 };

/** The body of one request. */
export class RequestBody {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #awaitsContinue: boolean;
  #chunks: Uint8Array[] = [];
  #taken = 0;
  #buffered = 0;
  #started = false;
  #ended = false;
  #failure: FerryError | undefined;
  #wake: (() => void) | undefined;
  /** Its size in bytes as announced; null for one in chunks. */
  readonly size: number | null;

  /** @param awaitsContinue whether the client waits for `100 Continue` before it sends the body */
  constructor(request: IncomingMessage, response: ServerResponse, awaitsContinue: boolean) {
    this.#request = request;
    this.#response = response;
    this.#awaitsContinue = awaitsContinue;
    const { "content-length": length, "transfer-encoding": coding } = request.headers;
    this.size = coding === undefined ? Number(length ?? 0) : null;
  }

  /** Whether all of it was received, or there is none. */
  get ended(): boolean {
    return this.size === 0 || this.#ended && this.#chunks.length === 0;
  }

  /**
   * Reads at least one byte; returns 0 at the end.
   *
   * @throws {FerryError} `closed` if the connection ends before the body
   */
  async read(into: Uint8Array): Promise<number> {
    if (!this.#started) this.#start();
    while (this.#chunks.length === 0) {
      if (this.#failure) throw this.#failure;
      if (this.#ended || this.size === 0) return 0;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const [first] = this.#chunks as [Uint8Array];
    const count = Math.min(into.length, first.length - this.#taken);
    into.set(first.subarray(this.#taken, this.#taken + count));
    this.#taken += count;
    this.#buffered -= count;
    if (this.#taken === first.length) {
      this.#chunks.shift();
      this.#taken = 0;
    }
    if (this.#buffered < BUFFERED.low) this.#request.resume();
    return count;
  }

  #start(): void {
    this.#started = true;
    const request = this.#request;
    request.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      if (this.#buffered > BUFFERED.high) request.pause();
      this.#awake();
    });
    request.on("end", () => {
      this.#ended = true;
      this.#awake();
    });
    const cut = () => {
      if (this.#ended) return;
      this.#failure ??= new FerryError("closed", "the connection ended before the body did");
      this.#awake();
    };
    request.on("error", cut);
    request.on("close", cut);
    if (this.#awaitsContinue) this.#response.writeContinue();
    this.#awaitsContinue = false;
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Whether the client may still send bytes of it that nobody has read. */
  get unread(): boolean {
    return !this.ended && !this.#awaitsContinue;
  }
}
