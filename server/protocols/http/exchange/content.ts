/**
 * Sends the content of a response as it is read, no faster than the client takes it.
 *
 * @module
 */

import type { ServerResponse } from "node:http";
import type { ByteSource } from "../../../../lib/core/bytes.ts";
import { FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import { fillChunk } from "../../../../lib/digest/source_digest.ts";
import type { Deadlines } from "../../../../lib/wire/deadlines.ts";
import type { Connection } from "./connection.ts";

/** How many bytes are read and written at once. */
const CHUNK_BYTES = 256 * 1024;

/** Pieces of up to this size, in bytes, are put together before they are written. */
const SMALL_BYTES = 16 * 1024;

/** A source of up to this size, in bytes, is read as a whole before anything is sent. */
export const SMALL_SOURCE_BYTES: number = 64 * 1024;

/** How long small pieces wait for further ones, in milliseconds. */
const FLUSH_MS = 1000;

/** Content that is read while it is sent. The memory of a piece may be reused when the next one is asked for. */
export type Content = ByteSource | AsyncIterable<Uint8Array>;

/** The parts of a {@linkcode ContentSender}. */
export interface ContentSenderParts {
  /** The response. */
  readonly response: ServerResponse;
  /** The connection that it is sent on. */
  readonly connection: Connection;
  /** Writes the header. Called when the first piece has been read. */
  begin(): void;
  /** Called with the number of bytes that the system has just taken. */
  onSent(count: number): void;
}

/** Sends the content of one response. */
export class ContentSender {
  readonly #response: ServerResponse;
  readonly #connection: Connection;
  readonly #begin: () => void;
  readonly #onSent: (count: number) => void;
  readonly #deadlines: Deadlines;
  #failure: FerryError | undefined;

  /** Nothing is sent yet. */
  constructor({ response, connection, begin, onSent }: ContentSenderParts) {
    this.#response = response;
    this.#connection = connection;
    this.#begin = begin;
    this.#onSent = onSent;
    this.#deadlines = connection.deadlines((reason) => this.fail(reason));
  }

  /** Ends the connection in the middle of the content, and makes sending fail. */
  fail(reason: FerryError): void {
    this.#failure ??= reason;
    this.#connection.destroy();
  }

  /**
   * Sends so many bytes of a source.
   *
   * @throws {FerryError} the errors of the source; `io` if it has fewer bytes or changes meanwhile; `closed`, `timeout`
   */
  async sized(source: ByteSource, size: number): Promise<void> {
    const { buffers } = this.#connection.runtime;
    using first = buffers.lend(Math.min(size, CHUNK_BYTES));
    using second = size > first.bytes.length ? buffers.lend(CHUNK_BYTES) : undefined;
    let [memory, other] = [first.bytes, second?.bytes ?? first.bytes];
    let begun = false;
    let writing: Promise<void> | undefined;
    try {
      for (let left = size; left > 0;) {
        const chunk = await fillChunk(source, memory, left);
        if (chunk.length === 0) throw tooShort(left, size);
        left -= chunk.length;
        // A client that lacks the last bytes does not take the content for whole.
        if (left === 0) await source.assertUnchanged?.();
        await writing;
        if (!begun) this.#begin();
        begun = true;
        writing = this.#write(chunk, left === 0);
        // A failure is seen at the next await; until then it must not count as unhandled.
        writing.catch(() => {});
        [memory, other] = [other, memory];
      }
      await writing;
    } catch (error) {
      // The memory must not be given back during a write.
      await writing?.catch(() => {});
      throw error;
    }
    if (size > 0) return;
    await source.assertUnchanged?.();
    this.#begin();
    await this.#end();
  }

  /**
   * Sends all of a source or an iterable, whose size is not known.
   *
   * @throws {FerryError} the errors of the content; `closed`, `timeout`
   */
  async unsized(content: Content): Promise<void> {
    const { clock, buffers } = this.#connection.runtime;
    const pieces = Symbol.asyncIterator in content ? content : this.#piecesOf(content);
    using lent = buffers.lend(2 * SMALL_BYTES);
    let filled = 0;
    let since = 0;
    let begun = false;
    const flush = async () => {
      if (!begun) this.#begin();
      begun = true;
      const bytes = lent.bytes.subarray(0, filled);
      filled = 0;
      if (bytes.length > 0) await this.#write(bytes, false);
    };
    for await (const piece of pieces) {
      if (filled + piece.length > lent.bytes.length) await flush();
      if (piece.length <= SMALL_BYTES && piece.length <= lent.bytes.length) {
        if (filled === 0) since = clock.monotonic();
        lent.bytes.set(piece, filled);
        filled += piece.length;
        if (clock.monotonic() - since >= FLUSH_MS) await flush();
      } else {
        await flush();
        await this.#write(piece, false);
      }
    }
    await flush();
    await this.#end();
  }

  async *#piecesOf(source: ByteSource): AsyncGenerator<Uint8Array, void, void> {
    using lent = this.#connection.runtime.buffers.lend(CHUNK_BYTES);
    for (;;) {
      const count = await source.read(lent.bytes);
      if (count === null) break;
      yield lent.bytes.subarray(0, count);
    }
    await source.assertUnchanged?.();
  }

  /** Writes bytes, all of which the system has taken when this resolves. */
  async #write(bytes: Uint8Array, isLast: boolean): Promise<void> {
    await this.#taken(bytes.length, (done) => {
      if (isLast) this.#response.end(bytes, done);
      else this.#response.write(bytes, done);
    });
  }

  async #end(): Promise<void> {
    await this.#taken(0, (done) => void this.#response.end(done));
  }

  async #taken(count: number, start: (done: (error?: Error | null) => void) => void) {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const closed = () => reject(new FerryError("closed", "the client has closed the connection"));
    const { socket } = this.#connection;
    if (socket.destroyed) closed();
    socket.once("close", closed);
    this.#deadlines.begin("write");
    try {
      start((error) => error ? reject(toFerryError(error)) : resolve());
      await promise;
      this.#deadlines.moved("write", count, { paced: true });
      this.#onSent(count);
    } catch (error) {
      // The reason why the connection was ended is more informative than the failed write.
      throw this.#failure ?? error;
    } finally {
      this.#deadlines.end("write");
      socket.removeListener("close", closed);
    }
    if (this.#failure) throw this.#failure;
  }
}

/**
 * All bytes of a small source.
 *
 * @throws {FerryError} the errors of the source; `io` if it has fewer bytes
 */
export async function wholeOf(source: ByteSource, size: number): Promise<Uint8Array> {
  const bytes = await fillChunk(source, new Uint8Array(size), size);
  if (bytes.length < size) throw tooShort(size - bytes.length, size);
  await source.assertUnchanged?.();
  return bytes;
}

function tooShort(left: number, size: number): FerryError {
  return new FerryError("io", `it shrank while it was sent: ${left} of ${size} bytes are left`);
}
