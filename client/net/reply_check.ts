/**
 * Checks that a reply belongs to its request. Older servers send no checksums of headers. With those, damage to a
 * header is found by comparing the values that request and reply have in common.
 *
 * @module
 */

import type { GetReply } from "../../lib/wire/operations/get.ts";
import type { OfferReply, PutReply } from "../../lib/wire/operations/put.ts";
import { algorithmOf, type Checksum, sameChecksum } from "../../lib/core/checksum.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { throwReported } from "../../lib/wire/error_reply.ts";
import type { HeaderKeys } from "../../lib/wire/codec.ts";
import type { Verified } from "../../lib/transfer/receive.ts";
import type { IncomingBody } from "../../lib/wire/body.ts";

/** The fields of a request header. */
export type RequestHeader = Readonly<Record<string, unknown>>;

/**
 * Checks that a reply is about the file name of the request, and that its checksum is of the requested algorithm.
 *
 * @throws {FerryError} the error in the reply, or `bad_header`
 */
export function assertAnswers(request: RequestHeader, reply: HeaderKeys): void {
  throwReported(reply, "server");
  const name = request.to ?? request.filename;
  const { filename, checksum } = reply;
  if (name !== undefined && filename !== name) {
    const told = typeof filename === "string" ? quote(filename) : "no name at all";
    throw new FerryError("bad_header", `the server answers for ${told}`);
  }
  // A reply to `get` always names the algorithm, even where the checksum is not known yet.
  const told = checksum === null && request.op !== "get" ? undefined : reply.algorithm;
  const [asked] = typeof request.checksum === "string" ? request.checksum.split(":") : ["md5"];
  if (told !== undefined && told !== asked) {
    throw new FerryError("bad_header", `the server tells ${told}, and ${asked} was asked for`);
  }
}

/**
 * Checks that a file which the server says it has is the one that was offered.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertHas(offer: RequestHeader, { decision, checksum }: OfferReply): void {
  const offered = offer.md5 ?? offer.checksum;
  // With `newer`, the server's file may have other content; and an algorithm without a checksum has nothing to compare.
  if (decision !== "have" || offer.overwrite === "newer" || checksum === null) return;
  if (typeof offered !== "string" || !algorithmOf(offered)) return;
  if (sameChecksum(offered, checksum)) return;
  const reason = `the server has ${checksum}, and ${offered} was offered`;
  throw new FerryError("checksum_mismatch", reason);
}

/**
 * Checks that the server has stored what was sent.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertStored(reply: PutReply, sent: Verified): void {
  const same = sameChecksum(reply.checksum, sent.checksum) && reply.size === sent.size;
  if (same) return;
  throw new FerryError(
    "checksum_mismatch",
    `the server has ${reply.size} bytes, ${reply.checksum}, and ${sent.size} bytes, ` +
      `${sent.checksum}, were sent`,
  );
}

/**
 * Checks that a reply of lines is streamed: its length may have been damaged such that it seems not to be.
 *
 * @throws {FerryError} `bad_header`
 */
export function assertStreamed({ size }: IncomingBody): void {
  if (size === null) return;
  throw new FerryError("bad_header", `the server announces ${size} bytes of lines, and no end`);
}

/**
 * Checks that the server has compared the files that it was asked about. Older servers do not report this.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertCompared({ closing }: IncomingBody, sent: Checksum): void {
  const compared = closing?.compared;
  if (compared === undefined || typeof compared === "string" && sameChecksum(compared, sent)) {
    return;
  }
  throw new FerryError("checksum_mismatch", "the server has compared other files than these");
}

/**
 * Checks that the body of a file begins at its first byte, or right after the bytes that the client has.
 *
 * @throws {FerryError} `bad_header`
 */
export function assertBegins({ offset }: GetReply, has = 0): void {
  if (offset === 0 || offset === has) return;
  throw new FerryError("bad_header", "the server goes on where nobody asked it to");
}

/** The fields of a request for a range of a file. */
export interface ByteRange {
  /** The offset of the first byte. */
  start: number;
  /** The most bytes. Default: up to the end of the file. */
  count?: number;
}

/**
 * Checks that the body of a file is the requested range.
 *
 * @returns the length of the range in bytes
 * @throws {FerryError} `bad_header`
 */
export function assertRange(reply: GetReply, { start, count = Infinity }: ByteRange): number {
  const { size } = reply;
  const first = Math.min(start, size);
  if (reply.start === first) return Math.min(count, size - first);
  throw new FerryError(
    "bad_header",
    "the server sends another part of the file than was asked for",
  );
}
