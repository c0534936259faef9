/**
 * Signatures as they are asked for and received.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import type { Ranges } from "./ranges.ts";
import type { Received } from "./recipe.ts";

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
    if (count === 0) throw new FerryError("bad_header", "the signature ends early");
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
