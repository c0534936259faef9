/**
 * The records of partial uploads: what is stored of each, and who writes it at the moment. They are objects under
 * `.ferry/uploads`, and any instance that serves the bucket reads them.
 *
 * An upload that is resumed gets a record of the next generation, which its new writer alone rewrites; the latest
 * generation is the one that counts. A writer that was taken for dead can so spoil nothing but its own record.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { Bucket, ListedObject, Metadata } from "./bucket.ts";
import { pagesOf } from "./name_lookup.ts";
import { hashOf, parseOwnName, RESERVED_PREFIX } from "./object_names.ts";

/** All records and tails have keys that begin with this. */
export const UPLOADS_PREFIX: string = `${RESERVED_PREFIX}uploads/`;

/** A holder that has not written its record for this long, in milliseconds by the clock of the store, has gone. */
export const LEASE_MS = 10_000;

/** The longest record that is read, in bytes. */
const MAX_RECORD_BYTES = 64 * 1024;

/** How many records are read at the same time. */
const READS_AT_ONCE = 8;

/** An id: hashes of the name and of the owner, by which uploads are found, and a random part. */
const ID = /^[0-9a-f]{24}-[0-9a-f]{16}-[0-9a-f]{16}$/;

const utf8 = new TextEncoder();

/** What is recorded of a partial upload. */
export interface Recorded {
  /** The name that the file will get. */
  readonly name: FileName;
  /** The size of the whole file in bytes; null for a stream. */
  readonly size: number | null;
  /** Whose it is; "" for all clients that cannot be told apart. */
  readonly owner: string;
  /** The metadata that the multipart upload was begun with. */
  readonly metadata: Metadata;
  /** The store's id of the multipart upload; undefined if none was begun. */
  readonly uploadId?: string | undefined;
  /** How many of its first parts are stored. Their sizes follow from that of the file. */
  readonly parts: number;
  /** The MD5 of the ETags of those parts. */
  readonly partsDigest: string;
  /** The stored bytes that follow the parts, in an object of their own. Default: undefined, there are none. */
  readonly tail?: { readonly generation: number; readonly size: number } | undefined;
  /** The state of the digests after the parts and the tail. */
  readonly prefix: SavedPrefix;
  /** When the last bytes were recorded, in milliseconds since 1970, by the clock of the writer. */
  readonly written: number;
}

/** A partial upload as its writer has recorded it. */
export interface UploadRecord extends Recorded {
  /** When the record was written, by the clock of the writer. No two records of one upload have the same content. */
  readonly renewed: number;
  /** Identifies the writer; undefined if the upload has none. */
  readonly holder?: string | undefined;
}

/** A record as it is stored. */
export interface StoredRecord {
  /** The id of the partial upload. */
  readonly id: string;
  /** Which of its writers wrote it. */
  readonly generation: number;
  /** The record. */
  readonly record: UploadRecord;
  /** The ETag of its object: another one after each write. */
  readonly etag: string;
  /** Whether its writer may still be there. */
  readonly isHeld: boolean;
  /** How long ago it was written, in milliseconds by the clock of the store. */
  readonly age: number;
}

/** The start of the ids of all partial uploads of a name, or of one owner's. */
export async function idsOf(name: FileName, owner?: string): Promise<string> {
  const ofName = `${(await hashOf(name)).slice(0, 24)}-`;
  return owner === undefined ? ofName : `${ofName}${(await hashOf(owner)).slice(0, 16)}-`;
}

/** A new id. */
export async function newId(name: FileName, owner: string): Promise<string> {
  const random = encodeHex(crypto.getRandomValues(new Uint8Array(8)));
  return `${await idsOf(name, owner)}${random}`;
}

/** The key of the record of a generation. */
export function recordKey(id: string, generation: number): string {
  return `${UPLOADS_PREFIX}${id}.${String(generation).padStart(6, "0")}`;
}

/** The key of the tail that the writer of a generation has stored. */
export function tailKey(id: string, generation: number): string {
  return `${recordKey(id, generation)}.tail`;
}

/** The records of the partial uploads in a bucket. */
export class UploadRecords {
  readonly #bucket: Bucket;

  /** The records in that bucket. */
  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** The latest record of a partial upload; undefined if there is none. */
  async latest(id: string): Promise<StoredRecord | undefined> {
    if (!ID.test(id)) return undefined;
    for await (const latest of this.#latestKeys(`${id}.`)) {
      const [only] = await this.#readAll(latest);
      if (only) return only;
    }
    return undefined;
  }

  /**
   * The latest records of all partial uploads whose ids begin with `ids`, page by page.
   *
   * @param wanted whether the record of that id is wanted, which was written at that time, in milliseconds since 1970
   */
  async *all(
    ids: string,
    wanted: (id: string, modified: number) => boolean = () => true,
  ): AsyncGenerator<StoredRecord[], void, void> {
    for await (const latest of this.#latestKeys(ids)) {
      yield await this.#readAll(latest.filter(({ id, modified }) => wanted(id, modified)));
    }
  }

  /** The keys of the latest records, page by page. */
  async *#latestKeys(ids: string): AsyncGenerator<RecordKey[], void, void> {
    let last: RecordKey | undefined;
    for await (const objects of pagesOf(this.#bucket, { prefix: `${UPLOADS_PREFIX}${ids}` })) {
      const latest: RecordKey[] = [];
      for (const key of objects.map(parseKey)) {
        if (last && key && key.id !== last.id) latest.push(last);
        last = key ?? last;
      }
      yield latest;
    }
    if (last) yield [last];
  }

  async #readAll(keys: readonly RecordKey[]): Promise<StoredRecord[]> {
    const all: StoredRecord[] = [];
    for (let from = 0; from < keys.length; from += READS_AT_ONCE) {
      const some = keys.slice(from, from + READS_AT_ONCE);
      const read = await Promise.all(some.map((key) => this.read(key)));
      all.push(...read.filter((each) => each !== undefined));
    }
    return all;
  }

  /** Reads a record; undefined if there is none, or it is not valid. */
  async read({ id, generation }: RecordName): Promise<StoredRecord | undefined> {
    const range = { start: 0, count: MAX_RECORD_BYTES };
    const object = await this.#bucket.get(recordKey(id, generation), { range });
    if (!object) return undefined;
    const { etag, modified, now, body } = object;
    const record = parseRecord(await new Response(body).text());
    if (!record) return undefined;
    // Some stores round the time of a write up to the next second, which has not come yet.
    const age = Math.max(0, now - modified);
    return {
      id,
      generation,
      record,
      etag,
      age,
      isHeld: record.holder !== undefined && age <= LEASE_MS,
    };
  }

  /**
   * Writes a record.
   *
   * @param options.ifAbsent whether there must be no record of that generation yet
   * @returns whether it was written; false if there was one
   */
  async write(
    { id, generation }: RecordName,
    record: UploadRecord,
    { ifAbsent }: { ifAbsent: boolean },
  ): Promise<boolean> {
    const bytes = utf8.encode(JSON.stringify({ version: 1, ...record }));
    return await this.#bucket.put(recordKey(id, generation), bytes, { ifAbsent }) !== undefined;
  }

  /** Whether a record of that generation is there, and none of a later one. */
  async isLatest({ id, generation }: RecordName): Promise<boolean> {
    for await (const [latest] of this.#latestKeys(`${id}.`)) {
      if (latest) return latest.generation === generation;
    }
    return false;
  }

  /** Removes the record of one generation alone. */
  async removeOne({ id, generation }: RecordName): Promise<void> {
    await this.#bucket.delete(recordKey(id, generation));
  }

  /** Removes everything that is recorded of a partial upload: the tails first, and the latest record last. */
  async remove(id: string): Promise<void> {
    const keys: string[] = [];
    for await (const objects of pagesOf(this.#bucket, { prefix: `${UPLOADS_PREFIX}${id}.` })) {
      keys.push(...objects.map(({ key }) => key));
    }
    const records = keys.filter((key) => !key.endsWith(".tail"));
    const last = records.pop();
    const [failure] = (await this.#removeAll(keys.filter((key) => key !== last))).values();
    if (failure) throw failure;
    if (last !== undefined) await this.#bucket.delete(last);
  }

  async #removeAll(keys: readonly string[]): Promise<ReadonlyMap<string, Error>> {
    if (keys.length === 0) return new Map();
    return await this.#bucket.deleteAll(keys);
  }
}

/** What names a record. */
export interface RecordName {
  /** The id of the partial upload. */
  readonly id: string;
  /** Which of its writers writes the record. */
  readonly generation: number;
}

interface RecordKey extends RecordName {
  readonly modified: number;
}

/** What the key of a record names; undefined for a tail, and for what is none of ferry's. */
function parseKey({ key, modified }: ListedObject): RecordKey | undefined {
  const [id = "", generation = "", ...more] = key.slice(UPLOADS_PREFIX.length).split(".");
  if (!ID.test(id) || !/^\d{6}$/.test(generation) || more.length > 0) return undefined;
  return { id, generation: Number(generation), modified };
}

/** The record in a text; undefined if it is not one. */
function parseRecord(text: string): UploadRecord | undefined {
  try {
    const record = JSON.parse(text) as UploadRecord & { version: number };
    const { version, name, size, owner, metadata, uploadId, parts, partsDigest, tail, prefix } =
      record;
    const { written, renewed, holder } = record;
    const isValid = version === 1 && parseOwnName(name) === name && typeof owner === "string" &&
      [size ?? 0, parts, prefix.size, written, renewed].every(isCount) &&
      isRecordOfTexts(metadata) &&
      (tail === undefined || isCount(tail.size) && isCount(tail.generation)) &&
      typeof partsDigest === "string" &&
      [uploadId, holder, prefix.md5, prefix.rest, prefix.xxh128].every(isTextOrNothing);
    return isValid ? record : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isTextOrNothing(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isRecordOfTexts(value: object): boolean {
  return Object.values(value).every((each) => typeof each === "string");
}
