/**
 * Remembers checksums of objects that neither their metadata nor their ETags tell: each in a small object under
 * `.ferry/checksums`, found by the key and the ETag of the object that it is about.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import type { Bucket } from "./bucket.ts";
import { hashOf, RESERVED_PREFIX } from "./object_names.ts";

const PREFIX = `${RESERVED_PREFIX}checksums/`;

/** The longest record that is read, in bytes: one has a checksum of each algorithm. */
const MAX_BYTES = 1024;

const utf8 = new TextEncoder();

/** The checksums that were remembered in a bucket. */
export class ChecksumRecords {
  readonly #bucket: Bucket;

  /** The records in a bucket. */
  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** The checksum of an object; null if none was remembered for exactly this key and ETag. */
  async find(key: string, etag: string, algorithm: Algorithm): Promise<Checksum | null> {
    const checksums = await this.all(key, etag);
    return checksums.find((checksum) => algorithmOf(checksum) === algorithm) ?? null;
  }

  /** All checksums that were remembered of an object. */
  async all(key: string, etag: string): Promise<Checksum[]> {
    const range = { start: 0, count: MAX_BYTES };
    const record = await this.#bucket.get(await recordOf(key, etag), { range });
    if (!record) return [];
    return checksumsIn(await new Response(record.body).text());
  }

  /** Remembers checksums of an object, which may be written later: its ETag has to be foreseen then. */
  async remember(key: string, etag: string, checksums: readonly Checksum[]): Promise<void> {
    const known = await this.all(key, etag);
    const all = new Map([...known, ...checksums].map((each) => [algorithmOf(each), each]));
    const text = JSON.stringify({ key, checksums: [...all.values()] });
    await this.#bucket.put(await recordOf(key, etag), utf8.encode(text));
  }

  /** Forgets an object that was removed. */
  async forget(key: string, etag: string): Promise<void> {
    await this.#bucket.delete(await recordOf(key, etag));
  }
}

/** The key of the record about an object. */
export async function recordOf(key: string, etag: string): Promise<string> {
  return `${PREFIX}${await hashOf(key)}/${etag}`;
}

/** Whether an object was uploaded in parts: its ETag tells no checksum, so that one may have been remembered of it. */
export function hasParts({ etag }: { etag: string }): boolean {
  return etag.includes("-");
}

/** The checksums in the text of a record. Anybody may have written it: what makes no sense is ignored. */
function checksumsIn(text: string): Checksum[] {
  try {
    const { checksums } = JSON.parse(text) as { checksums?: unknown };
    if (!Array.isArray(checksums)) return [];
    return checksums.filter((each): each is Checksum =>
      typeof each === "string" && algorithmOf(each) !== undefined
    );
  } catch {
    return [];
  }
}
