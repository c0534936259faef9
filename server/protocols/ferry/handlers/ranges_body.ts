/**
 * Bodies of requests that consist of encoded ranges.
 *
 * @module
 */

import type { LentBuffer } from "../../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { MAX_RANGES_BYTES } from "../../../../lib/delta/ranges.ts";
import { VerifyingReader } from "../../../../lib/transfer/receive.ts";
import type { Runtime } from "../../../../lib/runtime/runtime.ts";
import type { IncomingBody } from "../../../../lib/wire/body.ts";

/** How long memory is waited for that others use, in milliseconds. Without ranges, a client transfers the whole file. */
const MEMORY_WAIT_MS = 10_000;

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
  const lent = await memoryFor(size, body.runtime);
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

/** Memory for all ranges: at once where there is plenty, otherwise as soon as there is enough for them. */
async function memoryFor(size: number, { buffers, clock }: Runtime): Promise<LentBuffer> {
  if (buffers.has(size)) return buffers.lend(size);
  const reason = new FerryError("busy", "there is no memory for so many ranges");
  if (size > buffers.left) throw reason;
  const late = new AbortController();
  const timer = clock.setTimeout(() => late.abort(reason), MEMORY_WAIT_MS);
  try {
    return await buffers.reserve(size, late.signal);
  } finally {
    clock.clearTimeout(timer);
  }
}
