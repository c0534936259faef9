/**
 * The closing header: the message that follows a body whose checksum was not known at its start.
 *
 * @module
 */

import * as v from "valibot";
import type { Checksum } from "../core/checksum.ts";
import type { Place } from "../core/errors.ts";
import type { Header } from "./codec.ts";
import { throwReported } from "./error_reply.ts";
import { check, knownChecksum, wireSize } from "./schema.ts";

/** The contents of a closing header, about the body before it. */
export interface ClosingHeader {
  /** The checksum of the whole body. */
  checksum: Checksum;
  /** The number of bytes of the whole body. */
  size: bigint;
}

/** The keys of a closing header. */
export const closing = v.object({
  end: v.literal(true, "is not true"),
  checksum: knownChecksum,
  size: wireSize,
});

/** Whether a header closes a body. */
export function isClosing(header: Header): boolean {
  return header.end === true;
}

/**
 * Reads a closing header.
 *
 * @throws {FerryError} the sender's error if the header reports one; otherwise `bad_header`
 */
export function parseClosing(header: Header, side: Place["side"] = "peer"): ClosingHeader {
  throwReported(header, side);
  return check(closing, header);
}
