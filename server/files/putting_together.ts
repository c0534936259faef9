/**
 * Puts files that were uploaded as parts together.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { receive } from "../../lib/transfer/receive.ts";
import type { Storage, StoredFile } from "../storage/storage.ts";
import type { StoredUpload } from "./upload.ts";
import type { StoredContent } from "./upload_records.ts";

/** A part: a file of a storage. */
export interface Part {
  /** The storage. */
  readonly storage: Storage;
  /** Its name there. */
  readonly name: FileName;
  /** Its size in bytes. */
  readonly size: number;
}

/** Options of {@linkcode putTogether}. */
export interface PuttingTogether {
  /** Provides buffers and digests. */
  readonly runtime: Runtime;
  /** The storage of the whole file. */
  readonly storage: Storage;
  /** The name that it gets, its size in bytes, and whether an existing file of that name is replaced. */
  readonly target: {
    readonly name: FileName;
    readonly size: number;
    readonly replace: boolean;
  };
  /**
   * The modification time to keep, the checksum algorithm, and the checksum that the file has to have, as far as they
   * are given.
   */
  readonly attributes: {
    readonly mtime: number | undefined;
    readonly algorithm: Algorithm;
    readonly checksum: Checksum | undefined;
  };
  /** Fails if the file may not be written any more. */
  assertMay(): void;
  /** Called when the file is stored, and waited for. */
  readonly onStored?: ((file: StoredUpload) => Promise<void>) | undefined;
}

/**
 * Stores a file that consists of parts, one after the other. The parts stay.
 *
 * @throws {FerryError} `not_found` if a part is gone, `checksum_mismatch`; as `Storage.create` and its commit
 */
export async function putTogether(
  parts: readonly Part[],
  options: PuttingTogether,
): Promise<StoredContent> {
  const { runtime, storage, target, attributes, assertMay, onStored } = options;
  const { name, size, replace } = target;
  const { mtime, algorithm, checksum: expected } = attributes;
  await using content = new Contents(parts);
  const body = {
    size,
    algorithm,
    checksum: expected ?? null,
    unattested: expected === undefined,
    read: (into: Uint8Array) => content.read(into),
  };
  const announced = { mtime, checksum: expected };
  await using write = await storage.create(name, { size, replace, announced });
  const { checksum } = await receive(runtime, body, write, { onBytes: assertMay });
  const { unchanged } = await write.commit({ checksum, replace, mtime, assertMay });
  await onStored?.({ filename: name, size, checksum, unchanged, resumedFrom: 0, reused: 0 });
  return { checksum, size };
}

/** The bytes of files, one after the other. */
class Contents implements AsyncDisposable {
  readonly #parts: Part[];
  #open: StoredFile | undefined;

  constructor(parts: readonly Part[]) {
    this.#parts = [...parts];
  }

  /** Reads at least one byte; returns 0 at the end. */
  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      if (!this.#open) {
        const next = this.#parts.shift();
        if (!next) return 0;
        this.#open = await next.storage.open(next.name, "md5");
        if (this.#open.entry.size !== next.size) {
          throw new FerryError("io", "a part has not the size that it had");
        }
      }
      const count = await this.#open.read(into);
      if (count !== null && count > 0) return count;
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
