/**
 * Archives in the format of zip, without compression.
 *
 * @module
 */

import { makeZip } from "client-zip";
import type { ArchivedEntry } from "../../../files/archived_tree.ts";

/** The first and the last time that an entry can have, in milliseconds since 1970: the format has seven bits for years. */
const TIMES = { first: Date.UTC(1980, 0, 2), last: Date.UTC(2107, 11, 30) };

/** From this number of entries on, and this size or offset on, the record at the end refers to a larger one. */
const MANY = { entries: 0xffff, bytes: 0xffff_ffff };

/**
 * The bytes of a zip archive.
 *
 * @throws the errors of the entries
 */
export async function* zip(
  entries: AsyncIterable<ArchivedEntry>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let count = 0;
  let hasLargeEnd = false;
  async function* inputs() {
    for await (const { path, type, size, mode, mtime, content } of entries) {
      count++;
      hasLargeEnd ||= size >= MANY.bytes;
      const lastModified = new Date(Math.min(Math.max(mtime, TIMES.first), TIMES.last));
      const attributes = { name: path, lastModified, mode };
      yield type === "directory" ? attributes : { ...attributes, size, input: content() };
    }
  }
  let last: Uint8Array<ArrayBuffer> | undefined;
  const chunks = makeZip(inputs()) as ReadableStream<Uint8Array<ArrayBuffer>>;
  for await (const chunk of chunks) {
    if (last) yield last;
    last = chunk;
  }
  const end = last!;
  const { size, offset } = directoryIn(end);
  hasLargeEnd ||= offset === MANY.bytes;
  // client-zip leaves it out where only the number of entries needs it.
  if (count >= MANY.entries && !hasLargeEnd) yield largeEnd({ count, size, offset });
  yield end;
}

/** Where the record at the end says that the list of entries is. */
function directoryIn(
  { buffer, byteOffset }: Uint8Array<ArrayBuffer>,
): { size: number; offset: number } {
  const end = new DataView(buffer, byteOffset);
  return { size: end.getUint32(12, true), offset: end.getUint32(16, true) };
}

/** The record that has place for any number of entries, and the one that tells where it is. */
function largeEnd(
  { count, size, offset }: { count: number; size: number; offset: number },
): Uint8Array<ArrayBuffer> {
  const end = new DataView(new ArrayBuffer(56));
  end.setUint32(0, 0x06064b50, true);
  // The number of bytes that follow.
  end.setBigUint64(4, 44n, true);
  // Made on Unix, by version 4.5 of the format, and to be read by that.
  end.setUint16(12, 3 << 8 | 45, true);
  end.setUint16(14, 45, true);
  end.setBigUint64(24, BigInt(count), true);
  end.setBigUint64(32, BigInt(count), true);
  end.setBigUint64(40, BigInt(size), true);
  end.setBigUint64(48, BigInt(offset), true);
  const locator = new DataView(new ArrayBuffer(20));
  locator.setUint32(0, 0x07064b50, true);
  locator.setBigUint64(8, BigInt(offset + size), true);
  // The number of files that the archive is divided into.
  locator.setUint32(16, 1, true);
  return Uint8Array.of(...new Uint8Array(end.buffer), ...new Uint8Array(locator.buffer));
}
