/**
 * The ranges of a file that a request asks for (RFC 9110, section 14), and their body if there are several.
 *
 * @module
 */

import { combineRanges, parse } from "range-parser";
import type { BufferBudget } from "../../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { OpenedFile } from "../../../files/opened_file.ts";
import { HttpFailure } from "../exchange/problem.ts";

const utf8 = new TextEncoder();

/** The size in which parts are read, in bytes. */
const PIECE_BYTES = 256 * 1024;

/** The maximum number of ranges of a request. */
const MAX_RANGES = 50;

/** A part of a file. */
export interface Part {
  /** Its first byte. */
  readonly offset: number;
  /** The number of its bytes. */
  readonly size: number;
}

/**
 * The parts of a file that a Range field asks for, in its order; those that overlap or adjoin are one.
 *
 * @returns undefined if the field does not apply, so that the whole file is sent: it is malformed, or has another unit
 * @throws {HttpFailure} 416 if no part is in the file, or if there are too many
 */
export function partsIn(range: string, size: number): Part[] | undefined {
  const { type, code, ranges } = parse(size, range);
  if (type !== "bytes" || (code & 1) !== 0) return undefined;
  if (ranges.length > MAX_RANGES) {
    throw unsatisfied(`a request may ask for ${MAX_RANGES} ranges at most`, size);
  }
  if (ranges.length === 0) {
    if (code === 0) return undefined;
    throw unsatisfied(`the file ends before the range: it has ${size} bytes`, size);
  }
  return combineRanges(ranges).map(({ start, end }) => ({ offset: start, size: end - start + 1 }));
}

function unsatisfied(reason: string, size: number): HttpFailure {
  const fields = { "content-range": `bytes */${size}` };
  return new HttpFailure(416, new FerryError("usage", reason), fields);
}

/** The value of Content-Range for a part of a file of `size` bytes. */
export function contentRange({ offset, size: count }: Part, size: number): string {
  return `bytes ${offset}-${offset + count - 1}/${size}`;
}

/** A body with several parts of a file, `multipart/byteranges`. */
export interface Multipart {
  /** The media type, with the boundary. */
  readonly type: string;
  /** The number of its bytes. */
  readonly size: number;
  /** Its bytes, piece by piece. The memory of a piece is used again for the next one. */
  pieces(file: OpenedFile, buffers: BufferBudget): AsyncGenerator<Uint8Array>;
}

/** Puts several parts of a file of `size` bytes and of a media type into one body. */
export function multipart(
  parts: readonly Part[],
  { size, type }: { size: number; type: string },
): Multipart {
  const boundary = crypto.randomUUID();
  const heads = parts.map((part) =>
    `\r\n--${boundary}\r\ncontent-type: ${type}\r\n` +
    `content-range: ${contentRange(part, size)}\r\n\r\n`
  );
  const tail = `\r\n--${boundary}--\r\n`;
  const texts = [...heads, tail].join("").length;
  return {
    type: `multipart/byteranges; boundary=${boundary}`,
    size: parts.reduce((sum, part) => sum + part.size, texts),
    async *pieces(file, buffers) {
      using lent = buffers.lend(Math.min(PIECE_BYTES, size));
      for (const [at, part] of parts.entries()) {
        yield utf8.encode(heads[at]);
        const source = file.part(part);
        for (let count; (count = await source.read(lent.bytes)) !== null;) {
          yield lent.bytes.subarray(0, count);
        }
      }
      await file.assertUnchanged();
      yield utf8.encode(tail);
    },
  };
}
