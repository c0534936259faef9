/**
 * The other side of a search for what two files have in common, in memory.
 *
 * @module
 */

import { Signer } from "../../lib/delta/signer.ts";
import type { FetchSignature, SignatureRequest } from "../../lib/delta/signature.ts";
import { received } from "./content.ts";

/** What was asked for, and what that took. */
export interface Fetched {
  /** The requests in order. */
  requests: SignatureRequest[];
  /** The sum of the bytes of encoded ranges and of records. */
  bytes: number;
}

/**
 * Gives signatures of bytes, as a server does.
 *
 * @param forge may change the records before they are given
 */
export function signaturesOf(
  bytes: Uint8Array,
  forge: (records: Uint8Array, recordBytes: number) => Uint8Array = (records) => records,
): { fetch: FetchSignature; fetched: Fetched } {
  const fetched: Fetched = { requests: [], bytes: 0 };
  const fetch: FetchSignature = async (request) => {
    const { block, rolling, ranges } = request;
    const signer = await Signer.create({ size: bytes.length, block, rolling });
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for (const { from, size } of ranges ?? [{ from: 0, size: bytes.length }]) {
      pieces.push(
        signer.update(bytes.subarray(from, from + size)).slice(),
        signer.endRange().slice(),
      );
    }
    const records = new Uint8Array(await new Blob(pieces).arrayBuffer());
    fetched.requests.push(request);
    fetched.bytes += (ranges?.encoded.length ?? 0) + records.length;
    const given = forge(records, signer.recordBytes);
    return { size: bytes.length, strong: signer.strong, ...received(given, 5000) };
  };
  return { fetch, fetched };
}
