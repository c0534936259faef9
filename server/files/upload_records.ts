/**
 * What a server remembers of an upload that its client goes on with by an id: it outlives the requests, the connections
 * and the process, and all servers over the same files share it.
 *
 * @module
 */

import * as v from "valibot";
import { ALGORITHMS } from "../../lib/core/checksum.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import type { Records } from "./records.ts";

/** What keeps the records. */
export type RecordKeeper = Pick<Records, "read" | "write" | "remove" | "list">;

/** The kind of these records. */
const KIND = "uploads";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const stored = v.object({ checksum: v.string(), size: count });

const record = v.object({
  version: v.literal(1),
  /**
   * What it is: a `whole` file, a `part` that is put together with others later, or the `sum` of such parts.
   */
  kind: v.picklist(["whole", "part", "sum"]),
  /** The name that the file will get. Of a part, a name by which is decided who may send it. */
  filename: v.string(),
  /** Whose it is. */
  owner: v.string(),
  /** The size of the whole file in bytes; null if it is not known yet. */
  size: v.nullable(count),
  overwrite: v.picklist(OVERWRITE_POLICIES),
  /** The modification time to keep, in milliseconds since 1970. */
  mtime: v.optional(v.number()),
  algorithm: v.picklist(ALGORITHMS),
  /** The checksum of the whole file, if the client gave it. */
  checksum: v.optional(v.string()),
  /** What the client wants to be told about it again. */
  note: v.string(),
  /** When the client was last heard of, in milliseconds since 1970, apart from the bytes that it has sent. */
  touched: v.number(),
  /** The id of the partial upload with its bytes; undefined as long as there are none. */
  partial: v.optional(v.string()),
  /** What is about to be published, written before a large file is. */
  publishing: v.optional(stored),
  /** The file that it has become, or that was there already. */
  stored: v.optional(stored),
  /** The ids of the parts of a sum. */
  parts: v.optional(v.array(v.string())),
});

/** The record of an upload. */
export type UploadRecord = v.InferOutput<typeof record>;

/** The file that an upload has become. */
export type StoredContent = v.InferOutput<typeof stored>;

/** The records of all uploads of a server. Methods fail with the errors of the storage. */
export class UploadRecords {
  readonly #records: RecordKeeper;

  /** The uploads in these records. */
  constructor(records: RecordKeeper) {
    this.#records = records;
  }

  /** The record of an upload; undefined if there is none of that id. */
  async read(id: string): Promise<UploadRecord | undefined> {
    if (!/^[\w-]{1,64}$/.test(id)) return undefined;
    const value = await this.#records.read(KIND, id);
    return value === undefined ? undefined : v.parse(record, value);
  }

  /** Creates or replaces a record. */
  async write(id: string, value: UploadRecord): Promise<void> {
    await this.#records.write(KIND, id, value);
  }

  /** Removes a record, if it exists. */
  async remove(id: string): Promise<void> {
    await this.#records.remove(KIND, id);
  }

  /** The ids of all uploads. */
  ids(): AsyncGenerator<string, void, void> {
    return this.#records.list(KIND);
  }
}
