/**
 * The bodies of messages as they come: sized, or streamed as a sequence of chunks, each a message of its own.
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
 * How many bytes of its standard input a command may leave unread so that the connection can go on: what is on its
 * way when the command ends, in the buffers of two systems, is more than {@linkcode MAX_DRAIN_BYTES}.
 */
export const MAX_UNREAD_INPUT_BYTES: bigint = 16n * 1024n * 1024n;

/** The longest body of a refused request that is read and thrown away so that a connection can go on. */
export const MAX_DRAIN_BYTES: bigint = 1024n * 1024n;

/** What a body is read from. */
export interface BodySource {
  /** Where memory, digests and the time come from. */
  readonly runtime: Runtime;
  /** The side that the peer's errors are said to have happened on. */
  readonly peerSide: Place["side"];
  /** The next header, or null where the connection ended in front of it. */
  readHeader(): Promise<Header | null>;
  /** Reads some bytes, at least one and at most `limit`, or null at the end of the connection. */
  read(into: Uint8Array, limit: number): Promise<number | null>;
}

/**
 * The body of a message. Its bytes come without the framing between chunks; when it has ended, its closing header
 * has been read if there is one.
 */
export class IncomingBody {
  readonly #source: BodySource;
  readonly #header: Header;
  /** Bytes still to come: of the whole body, or of the current chunk of a streamed one. */
  #remaining: bigint;
  #ended = false;
  /** The header of the chunk that is being read. */
  #chunk: Header;
  /** Whether the framing broke, so that where the next message starts is not known. */
  #lost = false;
  #closing: ClosingHeader | undefined;
  #closingKeys: Header | undefined;
  #count = 0n;

  /** The body behind a header that was just read. */
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

  /** Whether all bytes of the message at hand have been read, so that the next header may come. */
  get betweenMessages(): boolean {
    return this.#remaining === 0n;
  }

  /** How many bytes of the body have been read. */
  get count(): bigint {
    return this.#count;
  }

  /** Where memory, digests and the time come from. */
  get runtime(): Runtime {
    return this.#source.runtime;
  }

  /** The algorithm that the body is checked with. */
  get algorithm(): Algorithm {
    return this.#header.algorithm;
  }

  /** The header of the chunk that the bytes came in that were read last. */
  get chunk(): Header {
    return this.#chunk;
  }

  /** The closing header with all its keys; undefined until it has come. */
  get closing(): Header | undefined {
    return this.#closingKeys;
  }

  /**
   * The checksum that the sender gave, in the opening or the closing header; null until it is known. An empty body
   * has the checksum of no bytes, whether it is given or not.
   */
  get checksum(): Checksum | null {
    const given = this.#header.checksum ?? this.#closing?.checksum ?? null;
    return given ?? (this.#header.total_size === 0n ? emptyChecksum(this.algorithm) : null);
  }

  /**
   * Reads some bytes, at least one; 0 says that the body has ended.
   *
   * @throws {FerryError} `closed` or `timeout`; `bad_header` where the framing is wrong; `checksum_mismatch`
   * where a header was damaged or a size is not that of what came; what the sender reports instead of closing
   * the body
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

  /** Whether the last byte ends it: a sized body whose checksum stood in front has no closing header. */
  get #endsHere(): boolean {
    return this.#header.total_size !== null && this.#header.checksum !== null;
  }

  async #nextMessage(): Promise<void> {
    // Until the message has turned out to be one that belongs here.
    this.#lost = true;
    const header = await this.#source.readHeader();
    if (!header) return this.#cut();
    if (isClosing(header)) {
      if (header.total_size !== 0n) {
        throw new FerryError("bad_header", "the closing header has a body");
      }
      // Whatever else the closing header says, the next message starts behind it.
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
   * Reads and throws away what is left, if that is little.
   *
   * @param limit what is little, in bytes
   * @returns false where it is more than that, or where the framing broke, so that the connection has to end
   */
  async drain(limit = MAX_DRAIN_BYTES): Promise<boolean> {
    if (this.#ended) return true;
    if (this.#lost || this.#remaining > limit) return false;
    const end = this.#count + limit;
    try {
      while (!this.#ended && this.#count <= end) await this.read(this.runtime.buffers.trash);
    } catch (error) {
      // A wrong or failing end is an end: the error that led here is the one to report.
      if (!this.#ended) throw error;
    }
    return this.#ended;
  }
}
