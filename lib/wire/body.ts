/**
 * Incoming bodies of messages: sized, or streamed as a sequence of chunks, each of which is a message of its own.
 *
 * @module
 */

import { type Algorithm, type Checksum, emptyChecksum } from "../core/checksum.ts";
import { FerryError, type Place } from "../core/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type ClosingHeader, isClosing, parseClosing } from "./closing_header.ts";
import type { Header } from "./codec.ts";
import { throwReported } from "./error_reply.ts";

/**
 * How many bytes of standard input a command may leave unread without ending the connection: at the end of a command,
 * the buffers of the two systems may contain more than {@linkcode MAX_DRAIN_BYTES}.
 */
export const MAX_UNREAD_INPUT_BYTES: bigint = 16n * 1024n * 1024n;

/**
 * How many bytes of the body of a refused request are read and discarded so that the connection can still be used. A
 * longer body ends the connection.
 */
export const MAX_DRAIN_BYTES: bigint = 1024n * 1024n;

/** The source that a body is read from. */
export interface BodySource {
  /** Provides buffers, digests and the clock. */
  readonly runtime: Runtime;
  /** The side to which errors reported by the peer are attributed. */
  readonly peerSide: Place["side"];
  /** The next header, or null if the connection ended before it. */
  readHeader(): Promise<Header | null>;
  /** Reads some bytes, at least one and at most `limit`, or null at the end of the connection. */
  read(into: Uint8Array, limit: number): Promise<number | null>;
}

/**
 * The incoming body of a message. Its bytes are returned without the framing between chunks. When it has ended, its
 * closing header has been read, if there is one.
 */
export class IncomingBody {
  readonly #source: BodySource;
  readonly #header: Header;
  /** The number of bytes still to be read: of the whole body, or of the current chunk of a streamed one. */
  #remaining: bigint;
  #ended = false;
  /** The header of the chunk that is being read. */
  #chunk: Header;
  /** Whether the framing was violated, so that the start of the next message is unknown. */
  #lost = false;
  #closing: ClosingHeader | undefined;
  #closingKeys: Header | undefined;
  #count = 0n;

  /** Creates the body that follows a header that was just read. */
  constructor(source: BodySource, header: Header) {
    this.#source = source;
    this.#header = header;
    this.#chunk = header;
    this.#remaining = header.total_size ?? 0n;
    this.#ended = header.total_size === 0n;
  }

  /** The announced size in bytes; null for a streamed body. */
  get size(): bigint | null {
    return this.#header.total_size;
  }

  /** Whether the last byte, and the closing header if there is one, have been read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether all bytes of the current message have been read, so that a header may follow. */
  get betweenMessages(): boolean {
    return this.#remaining === 0n;
  }

  /** How many bytes of the body have been read. */
  get count(): bigint {
    return this.#count;
  }

  /** Provides buffers, digests and the clock. */
  get runtime(): Runtime {
    return this.#source.runtime;
  }

  /** The checksum algorithm of the body. */
  get algorithm(): Algorithm {
    return this.#header.algorithm;
  }

  /** The header of the chunk that contained the bytes last read. */
  get chunk(): Header {
    return this.#chunk;
  }

  /** The closing header with all its keys; undefined until it was read. */
  get closing(): Header | undefined {
    return this.#closingKeys;
  }

  /**
   * The checksum that the sender gave, in the opening or the closing header; null until it is known. For an empty body
   * it is the checksum of zero bytes, even if the sender gave none.
   */
  get checksum(): Checksum | null {
    const given = this.#header.checksum ?? this.#closing?.checksum ?? null;
    return given ?? (this.#header.total_size === 0n ? emptyChecksum(this.algorithm) : null);
  }

  /**
   * Reads at least one byte; returns 0 when the body has ended.
   *
   * @throws {FerryError} `closed` or `timeout`; `bad_header` if the framing is wrong; `checksum_mismatch` if a header
   * was damaged or a size does not match the bytes received; the error that the sender reports in the closing header
   */
  async read(into: Uint8Array): Promise<number> {
    while (!this.#ended) {
      if (this.#remaining > 0n) {
        const limit = this.#remaining > into.length ? into.length : Number(this.#remaining);
        const count = await this.#source.read(into, limit) ?? this.#cut();
        this.#remaining -= BigInt(count);
        this.#count += BigInt(count);
        if (this.#remaining === 0n && this.#endsHere) this.#ended = true;
        return count;
      }
      await this.#nextMessage();
    }
    return 0;
  }

  #cut(): never {
    throw new FerryError("closed", "the connection ended in the middle of a body");
  }

  /**
   * Whether the body ends with its last byte: a sized body whose checksum was in the opening header has no closing
   * header.
   */
  get #endsHere(): boolean {
    return this.#header.total_size !== null && this.#header.checksum !== null;
  }

  async #nextMessage(): Promise<void> {
    // Until the next message is known to be one that is allowed here.
    this.#lost = true;
    const header = await this.#source.readHeader();
    if (!header) return this.#cut();
    if (isClosing(header)) {
      if (header.total_size !== 0n) {
        throw new FerryError("bad_header", "the closing header has a body");
      }
      // Whatever else the closing header says, the next message starts after it.
      this.#ended = true;
      this.#closingKeys = header;
      const closing = parseClosing(header, this.#source.peerSide);
      if (closing.size !== this.#count) {
        throw new FerryError(
          "checksum_mismatch",
          `the closing header says ${closing.size} bytes, and ${this.#count} came`,
        );
      }
      const { checksum } = this.#header;
      if (checksum !== null && checksum !== closing.checksum) {
        throw new FerryError("checksum_mismatch", "the opening and the closing header differ");
      }
      this.#closing = closing;
      return;
    }
    throwReported(header, this.#source.peerSide);
    if (this.#header.total_size !== null || !header.total_size) {
      throw new FerryError("bad_header", "a closing header was expected");
    }
    this.#chunk = header;
    this.#remaining = header.total_size;
    this.#lost = false;
  }

  /**
   * Reads and discards the rest of the body if it is small.
   *
   * @param limit the maximum size of the rest, in bytes
   * @returns false if the rest is larger, or the framing was violated, so that the connection has to end
   */
  async drain(limit = MAX_DRAIN_BYTES): Promise<boolean> {
    if (this.#ended) return true;
    if (this.#lost || this.#remaining > limit) return false;
    const end = this.#count + limit;
    try {
      while (!this.#ended && this.#count <= end) await this.read(this.runtime.buffers.trash);
    } catch (error) {
      // A closing header that is wrong or reports an error still ends the body: the error for which the body is being
      // drained is the one to report.
      if (!this.#ended) throw error;
    }
    return this.#ended;
  }
}
