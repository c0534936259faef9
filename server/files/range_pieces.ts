/**
 * Reads ranges of a file, the next piece while the one before is used.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import type { Range } from "../../lib/delta/ranges.ts";
import { CHUNK_BYTES } from "../../lib/digest/source_digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { StoredFile } from "../storage/storage.ts";

/** A piece of a range. */
export interface RangePiece<Wanted extends Range = Range> {
  /** The bytes, which are valid until the next piece is asked for. */
  readonly bytes: Uint8Array;
  /** The range. */
  readonly range: Wanted;
  /** Whether the range ends with it. */
  readonly ends: boolean;
}

/**
 * The bytes of ranges of a file, in order. Nothing else may read the file meanwhile.
 *
 * @throws {FerryError} the errors of the file; `io` if it is shorter than it was
 */
export async function* rangePieces<Wanted extends Range>(
  { buffers }: Pick<Runtime, "buffers">,
  file: Pick<StoredFile, "seek" | "read">,
  ranges: Iterable<Wanted>,
): AsyncGenerator<RangePiece<Wanted>, void, void> {
  using one = buffers.lend(CHUNK_BYTES);
  using other = buffers.lend(CHUNK_BYTES);
  const iterator = ranges[Symbol.iterator]();
  let range: Wanted | undefined;
  let [at, left] = [0, 0];
  const readInto = async (memory: Uint8Array): Promise<RangePiece<Wanted> | undefined> => {
    if (left === 0) {
      const next = iterator.next();
      if (next.done) return undefined;
      range = next.value;
      at = range.from;
      left = range.size;
    }
    file.seek(at);
    const count = await file.read(memory.subarray(0, left));
    if (!count) throw new FerryError("io", "it is shorter than it was");
    at += count;
    left -= count;
    return { bytes: memory.subarray(0, count), range: range!, ends: left === 0 };
  };
  let reading = readInto(one.bytes);
  // All pieces may be available at once, and as small as a byte.
  const pace = new Pace();
  try {
    for (let [memory, free] = [one.bytes, other.bytes];; [memory, free] = [free, memory]) {
      const piece = await reading;
      if (!piece) return;
      reading = readInto(free);
      // A failure is thrown by the next await; until then it must not count as unhandled.
      reading.catch(() => {});
      yield piece;
      if (pace.isDue) await pace.rest();
    }
  } finally {
    // The memory must not be freed while something is read into it.
    await reading.catch(() => {});
  }
}
