/**
 * The body of a request, which is read as it is needed. The client is told to go on (`100 Continue`) only when the first
 * read begins, so that a refused body is never sent.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Deadlines } from "../../../../lib/wire/deadlines.ts";
import type { Connection } from "./connection.ts";

/** The memory of received chunks that wait to be read: above `high` reading from the peer pauses, below `low` it continues. */
const BUFFERED = { high: 512 * 1024, low: 128 * 1024 };

/** How much memory a chunk takes beside its bytes: it may have no more than one. */
const CHUNK_OVERHEAD = 512;

/** A body of up to this size, in bytes, that nobody wants is received all the same, to keep the connection. */
const DISCARDED_BYTES = 64 * 1024;

/** The parts of a {@linkcode RequestBody}. */
export interface RequestBodyParts {
  /** The request. */
  readonly request: IncomingMessage;
  /** Its response. */
  readonly response: ServerResponse;
  /** The connection that it arrives on. */
  readonly connection: Connection;
  /** Whether the client waits for `100 Continue` before it sends the body. */
  readonly awaitsContinue: boolean;
}

/** The body of one request. */
export class RequestBody {
  readonly #parts: RequestBodyParts;
  #awaitsContinue: boolean;
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** How many bytes of the first chunk have been read. */
  #taken = 0;
  /** The memory that the chunks take. */
  #buffered = 0;
  /** How many bytes have arrived since they were last waited for. */
  #arrived = 0;
  /** How many bytes were read. */
  #count = 0;
  #paused = false;
  #deadlines: Deadlines | undefined;
  #ended = false;
  #failure: FerryError | undefined;
  #wake: (() => void) | undefined;
  /** Its size in bytes as announced; null for one in chunks. */
  readonly size: number | null;

  /** The body of a request whose header has arrived. */
  constructor(parts: RequestBodyParts) {
    this.#parts = parts;
    this.#awaitsContinue = parts.awaitsContinue;
    const { "content-length": length, "transfer-encoding": coding } = parts.request.headers;
    this.size = coding === undefined ? Number(length ?? 0) : null;
  }

  /** Whether all of it was read, or there is none. */
  get ended(): boolean {
    return this.size === 0 || this.#ended && this.#chunks.length === 0;
  }

  /** How many bytes of it were read. */
  get count(): number {
    return this.#count;
  }

  /** Whether the connection can be used for another request although nobody has read the rest. */
  get mayBeLeft(): boolean {
    if (this.ended) return true;
    // A client that was not told to go on may send the body or the next request: nobody could tell them apart.
    return !this.#awaitsContinue && this.#failure === undefined &&
      this.size !== null && this.size <= DISCARDED_BYTES;
  }

  /**
   * Reads at least one byte, and more if more has arrived; returns 0 at the end.
   *
   * @throws {FerryError} `closed` if the connection ends before the body; `timeout` if the client is too slow;
   * `bad_header` if the body is not in the form that was announced
   */
  async read(into: Uint8Array): Promise<number> {
    if (this.size === 0) return 0;
    const deadlines = this.#deadlines ??= this.#start();
    const { request } = this.#parts;
    while (this.#chunks.length === 0) {
      // What has arrived before a failure is read first.
      if (this.#failure && (request.destroyed || request.readableLength === 0)) throw this.#failure;
      if (this.#ended) return 0;
      deadlines.begin("read");
      this.#arrived = 0;
      await new Promise<void>((resolve) => this.#wake = resolve);
      deadlines.moved("read", this.#arrived, { paced: true });
      deadlines.end("read");
    }
    return this.#take(into);
  }

  #take(into: Uint8Array): number {
    let filled = 0;
    while (filled < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const piece = chunk.subarray(this.#taken, this.#taken + into.length - filled);
      into.set(piece, filled);
      filled += piece.length;
      this.#count += piece.length;
      this.#taken += piece.length;
      if (this.#taken < chunk.length) break;
      this.#taken = 0;
      this.#chunks.shift();
      this.#buffered -= chunk.length + CHUNK_OVERHEAD;
      free(chunk);
    }
    if (this.#paused && this.#buffered <= BUFFERED.low) {
      this.#paused = false;
      this.#parts.request.resume();
    }
    return filled;
  }

  #start(): Deadlines {
    const { request, response, connection } = this.#parts;
    request.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length + CHUNK_OVERHEAD;
      this.#arrived += chunk.length;
      if (this.#buffered >= BUFFERED.high && !this.#paused) {
        this.#paused = true;
        request.pause();
      }
      this.#awake();
    });
    request.on("end", () => {
      this.#ended = true;
      this.#awake();
    });
    request.on("error", () => this.cut());
    request.on("close", () => this.cut());
    if (this.#awaitsContinue) response.writeContinue();
    this.#awaitsContinue = false;
    return connection.deadlines((reason) => this.fail(reason));
  }

  /** Takes notice that nothing more will arrive. */
  cut(): void {
    if (this.#parts.request.complete) return;
    this.fail(new FerryError("closed", "the connection ended before the body"));
  }

  /** Makes reads fail, once everything that has arrived before is read. */
  fail(reason: FerryError): void {
    if (this.#ended) return;
    this.#failure ??= reason;
    this.#awake();
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/**
 * Gives the memory of a chunk back at once. Nobody else has it; left to the garbage collector, the many chunks of a large
 * body would keep that busy for half of the time.
 */
function free({ buffer, length }: Uint8Array<ArrayBuffer>): void {
  if (length === buffer.byteLength) buffer.transfer(0);
}
