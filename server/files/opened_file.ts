/**
 * A file that is open to be sent: all of it, a range of it, or what follows the bytes that the client has.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { StoredFile } from "../storage/storage.ts";
import { type ClaimedPrefix, provenPrefix } from "./download_proof.ts";

/** What is asked for of a file. */
export interface OpenFileOptions {
  /** What it is to be checked with. */
  algorithm: Algorithm;
  /** The range that is asked for; all of the file where there is none. As much of it is given as the file has. */
  range?: ByteRange | undefined;
  /** The beginning that the client has; it is not sent again where it is proven to be this file's. */
  prefix?: ClaimedPrefix | undefined;
}

/** A range of a file. */
export interface ByteRange {
  /** Its first byte. Default: 0. */
  start?: number | undefined;
  /** How many bytes. Default: all from `start` on. */
  count?: number | undefined;
}

/** What is known of an open file's content before it is read. */
interface Content {
  /** The first byte that its source gives. */
  offset: number;
  /** How many bytes its source is to give. */
  size: number;
  /** The checksum of the whole file; null where it is not known, or not all of the file is asked for. */
  checksum: Checksum | null;
  /** The digest of what is in front of the offset, where it was computed. */
  digest?: Digest | undefined;
}

/** A file that is open for reading. It stays the same file even if its name is given to another. */
export class OpenedFile implements ByteSource, AsyncDisposable {
  readonly #file: StoredFile;
  /** Whether a range of the file was asked for. */
  readonly isRange: boolean;
  /** What the source gives. */
  readonly content: Content;

  private constructor(file: StoredFile, content: Content, { isRange }: { isRange: boolean }) {
    this.#file = file;
    this.content = content;
    this.isRange = isRange;
    file.seek(content.offset);
  }

  /** Finds out what is to be sent of a file that was opened; it is disposed of with what is returned. */
  static async of(
    runtime: Runtime,
    file: StoredFile,
    { algorithm, range, prefix }: OpenFileOptions,
  ): Promise<OpenedFile> {
    const { size, checksum } = file.entry;
    if (range) {
      const offset = Math.min(range.start ?? 0, size);
      const count = Math.min(range.count ?? size, size - offset);
      return new OpenedFile(file, { offset, size: count, checksum: null }, { isRange: true });
    }
    const { size: offset, digest } = prefix
      ? await provenPrefix(runtime, file, { algorithm, claimed: prefix })
      : { size: 0, digest: undefined };
    const content = { offset, size: size - offset, checksum, digest };
    return new OpenedFile(file, content, { isRange: false });
  }

  /** What was true when it was opened. */
  get entry(): Entry {
    return this.#file.entry;
  }

  /** See {@linkcode ByteSource.read}. */
  read(into: Uint8Array): Promise<number | null> {
    return this.#file.read(into);
  }

  /** See {@linkcode ByteSource.assertUnchanged}. Of the whole that a range is of nothing is known. */
  async assertUnchanged(whole?: Checksum): Promise<void> {
    await this.#file.assertUnchanged?.(this.isRange ? undefined : whole);
  }

  /** Tells the storage the checksum of all that was read, so that it need not read the file again for it. */
  async remember(checksum: Checksum): Promise<void> {
    if (!this.isRange && this.content.checksum === null) await this.#file.remember(checksum);
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}
