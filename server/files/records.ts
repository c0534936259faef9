/**
 * Small records that a server keeps beside the files: keys, share links, uploads of protocols that need more than a
 * partial upload. They are files of a storage that no client can name. All servers of one root or bucket share them,
 * and they outlive the process.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { type FileName, parseFileName } from "../../lib/core/remote_name.ts";
import { readWhole } from "../../lib/transfer/send.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Storage } from "../storage/storage.ts";

/** The maximum size of a record, in bytes of JSON. */
const MAX_BYTES = 64 * 1024;

/**
 * The records of a server: JSON values with a kind and an id, both of which consist of letters, digits, `-` and `_`.
 * Methods fail with the errors of the storage.
 */
export class Records {
  readonly #open: () => Promise<Storage>;
  readonly #runtime: Runtime;
  #storage: Promise<Storage> | undefined;

  /** @param open opens the storage of the records; called when it is first needed, and again where that failed */
  constructor(open: () => Promise<Storage>, runtime: Runtime) {
    this.#open = open;
    this.#runtime = runtime;
  }

  /** The value of a record; undefined if there is none. */
  async read(kind: string, id: string): Promise<unknown> {
    const storage = await this.#opened();
    try {
      await using file = await storage.open(nameOf(kind, id), "md5");
      const { size } = file.entry;
      if (size > MAX_BYTES) throw new FerryError("io", "a record is longer than one can be");
      const bytes = new Uint8Array(size);
      const { digests } = this.#runtime;
      await readWhole(file, { into: bytes, algorithm: "md5", digests });
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      if (toFerryError(error).code === "not_found") return undefined;
      throw error;
    }
  }

  /**
   * Creates a record. If several servers create it at the same time, one of them succeeds.
   *
   * @returns whether it was created; false if it existed
   */
  async create(kind: string, id: string, value: unknown): Promise<boolean> {
    try {
      return await this.#put(kind, id, value, { replace: false });
    } catch (error) {
      if (toFerryError(error).code === "exists") return false;
      throw error;
    }
  }

  /** Creates or replaces a record. */
  async write(kind: string, id: string, value: unknown): Promise<void> {
    await this.#put(kind, id, value, { replace: true });
  }

  /** Removes a record, if it exists. */
  async remove(kind: string, id: string): Promise<void> {
    const storage = await this.#opened();
    try {
      await storage.remove(nameOf(kind, id), { recursive: false });
    } catch (error) {
      if (toFerryError(error).code !== "not_found") throw error;
    }
  }

  /** The ids of all records of a kind, in order. */
  async *list(kind: string): AsyncGenerator<string, void, void> {
    const storage = await this.#opened();
    try {
      for await (const { filename } of storage.list(parseFileName(kind), { recursive: false })) {
        yield filename.slice(kind.length + 1);
      }
    } catch (error) {
      if (toFerryError(error).code !== "not_found") throw error;
    }
  }

  /** Returns false if an identical record existed and may not be replaced. */
  async #put(
    kind: string,
    id: string,
    value: unknown,
    { replace }: { replace: boolean },
  ): Promise<boolean> {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    if (bytes.length > MAX_BYTES) {
      throw new FerryError("too_large", "a record of that size is not kept");
    }
    const storage = await this.#opened();
    const checksum = await this.#runtime.digests.checksumOf("md5", bytes);
    await using write = await storage.create(nameOf(kind, id), { size: bytes.length, replace });
    await write.write(bytes);
    const { unchanged } = await write.commit({ checksum, replace });
    return replace || !unchanged;
  }

  #opened(): Promise<Storage> {
    const opened = this.#storage ??= this.#open();
    opened.catch(() => {
      if (this.#storage === opened) this.#storage = undefined;
    });
    return opened;
  }
}

function nameOf(kind: string, id: string): FileName {
  if (!/^[\w-]+$/.test(id)) throw new FerryError("bad_name", "no record has such an id");
  return parseFileName(`${kind}/${id}`);
}
