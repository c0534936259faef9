/**
 * Bodies of requests that consist of encoded ranges.
 *
 * @module
 */

import type { LentBuffer } from "../../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { MAX_RANGES_BYTES } from "../../../../lib/delta/ranges.ts";
import { VerifyingReader } from "../../../../lib/transfer/receive.ts";
import type { IncomingBody } from "../../../../lib/wire/body.ts";

/**
 * Reads a sized body into memory, which is freed when the result is disposed of.
 *
 * @throws {FerryError} `bad_header` if it is streamed or too long; `busy` if there is no memory for it;
 * `checksum_mismatch`, and what the body fails with
 */
export async function readRanges(body: IncomingBody): Promise<LentBuffer> {
  if (body.size === null) throw new FerryError("bad_header", "ranges come in a body of known size");
  if (body.size > MAX_RANGES_BYTES) {
    throw new FerryError("bad_header", `the ranges take more than ${MAX_RANGES_BYTES} bytes`);
  }
  const size = Number(body.size);
  const { buffers } = body.runtime;
  if (!buffers.has(size)) throw new FerryError("busy", "there is no memory for so many ranges");
  const lent = buffers.lend(size);
  try {
    const reader = await VerifyingReader.open(body, "the ranges");
    for (let filled = 0; filled < size;) filled += await reader.read(lent.bytes.subarray(filled));
    // Reads the closing header, and verifies the bytes.
    await reader.read(new Uint8Array(1));
    return lent;
  } catch (error) {
    lent[Symbol.dispose]();
    throw error;
  }
}
