/**
 * Signatures as they are asked for and received.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { MAX_RECORDS } from "./block_sizes.ts";
import type { Received } from "./parts.ts";
import type { Ranges } from "./ranges.ts";

/** What is asked for. */
export interface SignatureRequest {
  /** The size of a block in bytes. */
  readonly block: number;
  /** Whether each record has the weak hash as well. */
  readonly rolling: boolean;
  /** Which parts of the file, from one block to another; undefined for all of it. */
  readonly ranges: Ranges | undefined;
}

/** The reply, whose numbers have been checked: the records, one after the other. */
export interface SignatureReply extends Received {
  /** The size of the whole file in bytes. */
  readonly size: number;
  /** How many bytes of the strong hash each record has, 4 to 8. */
  readonly strong: number;
}

/** Asks for a signature of the remote file. The reply is read to its end before the next one is asked for. */
export type FetchSignature = (request: SignatureRequest) => Promise<SignatureReply>;

/**
 * Reads the next records.
 *
 * @param into what they fill
 * @throws {FerryError} `bad_header` if the reply ends before
 */
export async function readRecords(reply: Received, into: Uint8Array): Promise<void> {
  for (let filled = 0; filled < into.length;) {
    const count = await reply.read(into.subarray(filled));
    if (count === 0) throw endsEarly();
    filled += count;
  }
}

/**
 * Reads the end of a reply.
 *
 * @throws {FerryError} `bad_header` if there are more records than were asked for
 */
export async function readEnd(reply: Received): Promise<void> {
  if (await reply.read(new Uint8Array(1)) === 0) return;
  throw new FerryError("bad_header", "the signature is longer than was asked for");
}

/** A reply that is read to its end at once, so that the next one can be asked for while its records are used. */
export class BufferedReply implements SignatureReply {
  readonly size: number;
  readonly strong: number;
  readonly #records: Uint8Array;
  #filled = 0;
  #taken = 0;
  #failure: { error: unknown } | undefined;
  /** Resolved when more records have been read. */
  #change = Promise.withResolvers<void>();
  /** Whether the end of the reply has been read. */
  ended = false;

  /**
   * @param reply a signature of a whole file, without weak hashes
   * @param block the size of a block in bytes
   * @throws {FerryError} `bad_header` if there would be more records than a signature may have
   */
  constructor(reply: SignatureReply, block: number) {
    this.size = reply.size;
    this.strong = reply.strong;
    const count = Math.ceil(reply.size / block);
    if (count > MAX_RECORDS) throw new FerryError("bad_header", "the signature is too long");
    this.#records = new Uint8Array(count * reply.strong);
    void this.#fill(reply);
  }

  async #fill(reply: Received): Promise<void> {
    try {
      while (this.#filled < this.#records.length) {
        const count = await reply.read(this.#records.subarray(this.#filled));
        if (count === 0) throw endsEarly();
        this.#filled += count;
        this.#changed();
      }
      await readEnd(reply);
      this.ended = true;
    } catch (error) {
      this.#failure = { error };
    }
    this.#changed();
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /**
   * Reads records; returns 0 at the end.
   *
   * @throws what the reply fails with
   */
  async read(into: Uint8Array): Promise<number> {
    while (this.#taken === this.#filled && !this.ended) {
      if (this.#failure) throw this.#failure.error;
      await this.#change.promise;
    }
    const records = this.#records.subarray(this.#taken, this.#filled).subarray(0, into.length);
    into.set(records);
    this.#taken += records.length;
    return records.length;
  }
}

function endsEarly(): FerryError {
  return new FerryError("bad_header", "the signature ends early");
}
