/**
 * Archives in the format of tar, of POSIX.1-2001 ("pax"): with names and sizes of any length, and times to the
 * millisecond.
 *
 * @module
 */

import { encode, encodePax } from "tar-stream/headers";
import type { ArchivedEntry } from "../../../files/archived_tree.ts";

/** Everything in an archive fills blocks of this size, in bytes. */
const BLOCK_BYTES = 512;

/** The largest size and time that the plain header of an entry holds in a way that every program reads. */
const LARGEST = { size: 8 ** 11 - 1, seconds: 2 ** 31 - 1 };

/**
 * The bytes of a tar archive.
 *
 * @throws the errors of the entries
 */
export async function* tar(
  entries: AsyncIterable<ArchivedEntry>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for await (const entry of entries) {
    const { type, size } = entry;
    yield* header(entry);
    if (type === "directory") continue;
    yield* entry.content();
    yield padding(size);
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

function* header(
  { path, type, size, mode, mtime }: ArchivedEntry,
): Generator<Uint8Array<ArrayBuffer>> {
  const seconds = Math.min(Math.max(0, Math.floor(mtime / 1000)), LARGEST.seconds);
  const plain = { mode, uid: 0, gid: 0, mtime: new Date(seconds * 1000) };
  const name = type === "directory" ? `${path}/` : path;
  const block = encode({ ...plain, name, type, size });
  const records = encodePax({
    ...block ? {} : { name },
    pax: {
      ...mtime === seconds * 1000 ? {} : { mtime: String(mtime / 1000) },
      ...size <= LARGEST.size ? {} : { size: String(size) },
    },
  });
  if (records.length > 0) {
    yield blockOf({ ...plain, name: "PaxHeader", type: "pax-header", size: records.length });
    yield records;
    yield padding(records.length);
  }
  // A name that does not fit is in the records, which have precedence.
  yield block ?? blockOf({ ...plain, name: "entry", type, size });
}

function blockOf(header: Parameters<typeof encode>[0]): Uint8Array<ArrayBuffer> {
  return encode(header)!;
}

function padding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES);
}
